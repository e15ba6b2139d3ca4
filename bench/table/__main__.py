"""The table of speeds, memory and costs, each beside its target: see bench/README.md.

    cd bench; python3 -m table          everything; `make bench` does this

It is a measurement: a target that is missed is told, and fails nothing.
"""
import datetime
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from table import copies, cost, fleet, giant, memory, wan
from table.bench import Bench
from table.result import Line, markdown

ROWS = {
    "loopback": copies.loopback, "disk": copies.disk, "wan": wan.wan, "tls": copies.tls,
    "noop-cost": cost.noop_cost, "fleet-initial": fleet.fleet_initial, "fleet-noop": fleet.fleet_noop,
    "memory": memory.memory, "literal-plus": copies.literal_plus, "plain": copies.plain, "giant": giant.giant,
}
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEEDED = {"dovecot": "dovecot-imapd", "openssl": "openssl", "redis-server": "redis-server"}
PEERS = {"doveadm-backup": "doveadm", "mbsync": "mbsync"}


def setting(name, default):
    return os.environ.get(name) or default


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the interrupt: servers are stopped, folders removed
    rows = setting("BENCH_ROWS", ",".join(ROWS)).split(",")
    unknown = [r for r in rows if r not in ROWS]
    if unknown:
        sys.exit(f"bench: no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    missing = [package for program, package in NEEDED.items() if not shutil.which(program)]
    if missing:
        sys.exit(f"bench: missing: {' '.join(missing)} (apt-get install {' '.join(missing)})")
    if os.geteuid() != 0:
        sys.exit("bench: needs root: the servers' mail belongs to user mail")
    peers = [p for p, program in PEERS.items() if shutil.which(program)]
    if os.environ.get("IMAPSYNC"):
        peers.append("imapsync-uid")
    if "BENCH_PEERS" in os.environ:
        peers = [p for p in os.environ["BENCH_PEERS"].split(",") if p]
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="mhbench.", dir=shm) as ram, \
            tempfile.TemporaryDirectory(prefix="mhbench.", dir=setting("BENCH_DISK", "/var/tmp")) as disk:
        for d in (ram, disk):
            os.chmod(d, 0o755)
        programs = build(os.path.join(ram, "bin"))
        t = Bench(ram, disk, programs, int(setting("BENCH_RUNS", 5)), int(setting("BENCH_PEER_RUNS", 2)), peers, float(setting("BENCH_SCALE", 1)))
        begun = time.monotonic()
        try:
            lines, broken = measure(t, rows)
        finally:
            t.close()
    print(heading(peers, time.monotonic() - begun))
    print(markdown(lines))
    return broken


def measure(t, rows):
    """All lines of these rows, and 1 if one of them could not be measured."""
    lines, broken = [], 0
    for name in rows:
        print(f"# row {name}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        try:
            for line in ROWS[name](t):
                print("#", " | ".join(line.cells()), file=sys.stderr, flush=True)
                lines.append(line)
        except Exception as e:              # the other rows are still of use
            import traceback
            traceback.print_exc()
            lines.append(Line(name, "could not be measured", "", wrong=f"{type(e).__name__}: {str(e)[:100]}"))
            broken = 1
        print(f"# row {name} took {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return lines, broken


def build(directory):
    """The programs of this tree, or those in BENCH_PROGRAMS."""
    os.makedirs(directory)
    go = setting("GO", "go")
    packages = ["./bench/limit", "./bench/delayproxy"]
    given = os.environ.get("BENCH_PROGRAMS")
    if not given:
        packages += ["./cmd/api", "./cmd/worker", "./cmd/mailhaul"]
    subprocess.run([go, "build", "-trimpath", "-o", directory + "/", *packages], cwd=TOP, check=True)
    programs = given or directory
    os.environ.update(LIMIT=f"{directory}/limit", DELAYPROXY=f"{directory}/delayproxy", MAILHAUL=f"{programs}/mailhaul")
    return programs


def heading(peers, took):
    """What was measured, where."""
    def said(*argv):
        try:
            return subprocess.run(argv, capture_output=True, text=True, cwd=TOP).stdout.strip().splitlines()[0]
        except (OSError, IndexError):
            return "?"
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")
    others = ", ".join(peers) or "none"
    if "imapsync-uid" not in peers:
        others += " (imapsync: not given in IMAPSYNC)"
    return (f"\n{datetime.date.today()}, {os.cpu_count()} x {model}; commit {said('git', 'rev-parse', '--short', 'HEAD')}, "
            f"{said('go', 'version')}, Dovecot {said('dovecot', '--version')}, {said('mbsync', '--version')}; peers: {others}; {took / 60:.0f} minutes\n")


if __name__ == "__main__":
    sys.exit(main())
