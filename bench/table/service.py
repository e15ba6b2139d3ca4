"""The service itself: a real Redis, bin/api and bin/worker, and one batch."""
import datetime
import json
import os
import re
import socket
import subprocess
import time
import urllib.request

from table import processes
from table.stage import free_ports

TOKEN = "a-token-of-the-speed-table"


class Service:
    """An API and a worker over a new database. Use it in a with statement."""

    def __init__(self, directory, programs, concurrency=64):
        self.dir, self.programs, self.concurrency = directory, programs, concurrency
        self.started = []

    def __enter__(self):
        redis, api, worker, metrics = free_ports(4)
        self.metrics = f"http://127.0.0.1:{metrics}/metrics"
        key = subprocess.run([self.program("mailhaul"), "vault", "keygen"], check=True, capture_output=True, text=True).stdout.strip()
        self.env = {**os.environ, "MAILHAUL_DATABASE_URL": f"sqlite://{self.dir}/fleet.db", "MAILHAUL_REDIS_URL": f"redis://127.0.0.1:{redis}",
                    "MAILHAUL_MASTER_KEY": key, "MAILHAUL_BOOTSTRAP_TOKEN": TOKEN, "MAILHAUL_ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8",
                    "MAILHAUL_API": f"http://127.0.0.1:{api}", "MAILHAUL_TOKEN": TOKEN}
        try:
            self.start("redis", ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--dir", self.dir], redis)
            self.start("api", [self.program("api")], api, MAILHAUL_LISTEN=f"127.0.0.1:{api}")
            self.worker = self.start("worker", [self.program("worker")], metrics, MAILHAUL_LISTEN=f"127.0.0.1:{worker}",
                                     MAILHAUL_METRICS_LISTEN=f"127.0.0.1:{metrics}", MAILHAUL_CONCURRENCY=str(self.concurrency))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for p in reversed(self.started):
            p.terminate()
        for p in reversed(self.started):
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def program(self, name):
        return os.path.join(self.programs, name)

    def start(self, name, argv, port, **env):
        """Start a program and wait until it listens; returns its process id."""
        with open(os.path.join(self.dir, name + ".log"), "ab") as log:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**self.env, **env})
        self.started.append(p)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return p.pid
            except OSError:
                if p.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not listen; see {self.dir}/{name}.log")
                time.sleep(0.02)

    def mailhaul(self, *args):
        subprocess.run([self.program("mailhaul"), *args], check=True, capture_output=True, env=self.env)

    def endpoint(self, name, port, limit):
        self.mailhaul("endpoint", "create", name, "--host", "127.0.0.1", "--port", str(port), "--security", "none", "--no-test",
                      "--max-concurrent-migrations", str(limit), "--max-concurrent-incremental-syncs", str(limit))

    def batch(self, pairs, password):
        """Make the batch of these (source user, target user)."""
        path = os.path.join(self.dir, "users.csv")
        with open(path, "w") as f:
            f.write("EmailAddress,UserName,Password,TargetUserName,TargetPassword\n")
            for i, (source, target) in enumerate(pairs):
                f.write(f"u{i:05d}@example.org,{source},{password},{target},{password}\n")
        self.mailhaul("batch", "create", "bench", "--csv", path, "--source", "old", "--target", "new")

    def ask(self, method, path):
        r = urllib.request.Request(f"{self.env['MAILHAUL_API']}/v1/orgs/default/batches/bench{path}", method=method,
                                   headers={"Authorization": "Bearer " + TOKEN})
        with urllib.request.urlopen(r) as answer:
            return json.load(answer)

    def passes(self):
        """How many passes the worker has ended, whatever came of them."""
        with urllib.request.urlopen(self.metrics) as answer:
            text = answer.read().decode()
        return sum(float(x) for x in re.findall(r"^mailhaul_passes_total\{[^}]*\} (\S+)$", text, re.M))

    def all_at_once(self, verb, n, patience=600):
        """Ask for a pass of all n users and wait for them; returns wall and the worker's CPU
        seconds. The end is what the service says of the last pass: to look often costs CPU."""
        cpu, want = processes.cpu(self.worker), self.passes() + n
        begun = time.time()
        self.ask("POST", "/" + verb)
        while self.passes() < want:
            if time.time() - begun > patience:
                raise RuntimeError(f"{n} passes have not ended after {patience} s: {self.ask('GET', '')['counts']}")
            time.sleep(0.1)
        used = processes.cpu(self.worker) - cpu
        return datetime.datetime.fromisoformat(self.ask("GET", "")["lastSyncedAt"]).timestamp() - begun, used

    def wait_synced(self, n, patience=300):
        """Wait until all n users are in step: those whose pass failed come again by themselves."""
        begun = time.monotonic()
        while self.synced() < n and time.monotonic() - begun < patience:
            time.sleep(1)

    def synced(self):
        return self.ask("GET", "")["counts"].get("synced", 0)
