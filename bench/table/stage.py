"""Two Dovecots, the mail in them, and tools run between them.

The source's mail is put back from a snapshot before each initial copy ("golden"), the
target's is wiped. Mail that no tool and no phase changes needs no snapshot: a user
without one keeps what it has.
"""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys

from table import processes
from table.tools import TOOLS

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def free_ports(n):
    """n ports that nobody listens on, below those that outgoing connections are given."""
    ports = set()
    while len(ports) < n:
        port = random.randrange(15000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                ports.add(port)
            except OSError:
                pass
    return list(ports)


class Stage:
    def __init__(self, directory, golden=None, tools=None):
        """A stage that servers.sh has started in directory."""
        self.dir = os.path.abspath(directory)
        self.golden = golden or os.path.join(self.dir, "golden")
        self.tools = tools or TOOLS
        with open(os.path.join(self.dir, "env")) as f:
            self.env = dict(line.strip().split("=", 1) for line in f)
        self.servers = [int(self.env[k]) for k in ("SRC_PID", "DST_PID")]

    @classmethod
    def start(cls, directory, golden=None, **settings):
        """Start two servers on free ports; settings are servers.sh's variables."""
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        ports = dict(zip(("SRC_PORT", "SRC_TLS_PORT", "DST_PORT", "DST_TLS_PORT"), map(str, free_ports(4))))
        subprocess.run([os.path.join(HERE, "servers.sh"), "start", directory], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, **ports, **settings})
        return cls(directory, golden)

    def stop(self):
        subprocess.run([os.path.join(HERE, "servers.sh"), "stop", self.dir], check=True)

    def mail(self, side, user=""):
        return os.path.join(self.dir, side, "mail", user)

    # Mail

    def script(self, name, *args, **kw):
        """Run one of the harness' programs on the source."""
        return subprocess.run([sys.executable, os.path.join(HERE, name), "--port", self.env["SRC_PORT"], "--password", self.env["PASSWORD"],
                               *map(str, args)], check=True, stderr=subprocess.PIPE, text=True, **kw).stderr

    def snapshot(self, users=None):
        """Remember the source's mail as it is now."""
        for u in users if users is not None else os.listdir(self.mail("source")):
            shutil.rmtree(os.path.join(self.golden, u), ignore_errors=True)
            os.makedirs(self.golden, exist_ok=True)
            subprocess.run(["cp", "-a", self.mail("source", u), os.path.join(self.golden, u)], check=True)

    def restore(self, users):
        """Put the users' source back and wipe their target."""
        for u in users:
            kept = os.path.join(self.golden, u)
            if os.path.isdir(kept):
                shutil.rmtree(self.mail("source", u), ignore_errors=True)
                subprocess.run(["cp", "-a", kept, self.mail("source", u)], check=True)
            shutil.rmtree(self.mail("target", u), ignore_errors=True)

    def mutate(self, prefix, users, new=50, flags=50, expunge=0, day=1):
        """Let a day pass at the source."""
        self.script("corpus.py", "--mutate", "--prefix", prefix, "--users", users, "--new", new, "--flags", flags,
                    "--expunge", expunge, "--day", day)

    # Tools

    def work(self, tool, user):
        return os.path.join(self.dir, "work", tool, user)

    def log(self, name):
        os.makedirs(os.path.join(self.dir, "log"), exist_ok=True)
        return os.path.join(self.dir, "log", name + ".log")

    def fill_in(self, template, tool, user, ends=None, **more):
        e = self.env
        values = dict(src_host="127.0.0.1", dst_host="127.0.0.1", src_port=e["SRC_PORT"], dst_port=e["DST_PORT"],
                      src_tls_port=e["SRC_TLS_PORT"], dst_tls_port=e["DST_TLS_PORT"], user=user, password=e["PASSWORD"],
                      work=self.work(tool, user), here=HERE, src_conf=e["SRC_CONF"], dst_conf=e["DST_CONF"],
                      imapsync=os.environ.get("IMAPSYNC", "imapsync"), limit=os.environ.get("LIMIT", "limit"),
                      mailhaul=os.environ.get("MAILHAUL", os.path.join(HERE, "../bin/mailhaul")),
                      flags=os.environ.get("MAILHAUL_FLAGS", ""), **more)
        values.update(ends or {})
        return re.sub(r"\{(%s)\}" % "|".join(values), lambda m: str(values[m.group(1)]), template)

    def set_up(self, tool, user, ends=None):
        """Make the tool's working directory anew: it knows nothing then."""
        work = self.work(tool, user)
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        if self.tools[tool].get("setup"):
            subprocess.run(["bash", "-c", self.fill_in(self.tools[tool]["setup"], tool, user, ends)], check=True)

    def run(self, tool, user, ends=None, extra="", **kw):
        """One pass of a tool over one mailbox."""
        argv = ["bash", "-c", self.fill_in(self.tools[tool]["cmd"], tool, user, ends) + " " + extra]
        return processes.run(argv, self.log(tool), self.servers, **kw)

    def run_many(self, tool, users, parallel, ends=None, **kw):
        """One pass over many mailboxes, parallel processes at once (or one that knows many)."""
        where = os.path.join(self.dir, "work", tool)
        os.makedirs(where, exist_ok=True)
        listed = os.path.join(where, "users")
        with open(listed, "w") as f:
            f.write("\n".join(users) + "\n")
        t = self.tools[tool]
        if t.get("many"):
            command = self.fill_in(t["many"], tool, "fleet", ends, users_file=listed, parallel=parallel)
        else:
            for u in users:
                with open(os.path.join(where, u + ".sh"), "w") as f:
                    f.write(self.fill_in(t["cmd"], tool, u, ends) + "\n")
            command = f"sed 's|^|{where}/|;s|$|.sh|' {listed} | xargs -P{parallel} -n1 bash"
        return processes.run(["bash", "-c", command], self.log(tool + "-many"), self.servers, **kw)

    def verify(self, user, source=None, show=0):
        """Compare a mailbox with its copy; returns what verify.py counted."""
        e = self.env
        r = subprocess.run([sys.executable, os.path.join(HERE, "verify.py"), "--json", "--user", source or user, "--dst-user", user, "--show", str(show),
                            "--src", f"127.0.0.1:{e['SRC_PORT']}", "--dst", f"127.0.0.1:{e['DST_PORT']}",
                            "--password", e["PASSWORD"]], capture_output=True, text=True)
        if show:
            sys.stderr.write(r.stderr)
        return json.loads(r.stdout) if r.stdout.strip() else {"error": r.stderr.strip()}

    def judge(self, users):
        """What verify.py counted, summed over all these users."""
        total = {}
        for u in users:
            for k, v in self.verify(u).items():
                if isinstance(v, (int, str)):
                    total[k] = total.get(k, type(v)()) + v
        return total

    @contextlib.contextmanager
    def delayed(self, delay, sides=("src", "dst")):
        """Put a delay proxy before both servers. Yields a Proxy; its tally is there afterwards."""
        ports = free_ports(2)
        proxy = Proxy({f"{side}_port": str(p) for side, p in zip(sides, ports)})
        pairs = [f"127.0.0.1:{p}=127.0.0.1:{self.env[side.upper() + '_PORT']}" for side, p in zip(sides, ports)]
        p = subprocess.Popen([os.environ.get("DELAYPROXY", "delayproxy"), "-delay", delay, "-count", *pairs], stdout=subprocess.PIPE, text=True)
        try:
            p.stdout.readline()             # it listens
            yield proxy
        finally:
            p.send_signal(signal.SIGTERM)
            out = p.communicate()[0]
        proxy.tally = [dict((k, int(v)) for k, v in (x.split("=") for x in line.split()[1:])) for line in out.splitlines()]


class Proxy:
    """Where a tool connects to, and afterwards what passed: a dict each side, source first."""
    def __init__(self, ends):
        self.ends, self.tally = ends, []

    def total(self, key):
        return sum(t[key] for t in self.tally)


def faults(v):
    """What verify.py counted, in words; "same" if nothing."""
    if v.get("error"):
        return v["error"]
    keep = {k: x for k, x in v.items() if x and k not in ("source", "target", "bytes", "ok", "detail")}
    s = " ".join(f"{k}={x}" for k, x in keep.items()) or "same"
    return s + (" " + " ".join(f"{k}={x}" for k, x in v.get("detail", {}).items()) if v.get("detail") else "")
