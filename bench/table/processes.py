"""Runs a program and measures it: wall time, CPU, memory, the servers' CPU."""
import dataclasses
import os
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclasses.dataclass
class Run:
    """What one run took. CPU is user and system of the program and of what it waited for."""
    wall: float
    cpu: float
    srv: float              # CPU of the servers' process trees
    peak: float             # MB: VmHWM of the program itself
    rss: float              # MB: the largest sum over its process tree, 0 where not asked for
    rc: int                 # -9: killed
    faults: str = ""        # what the judge said; "": not asked

    def __str__(self):
        rss = f" rss={self.rss:.0f}MB" if self.rss else ""
        return f"wall={self.wall:.3f} cpu={self.cpu:.3f} srv={self.srv:.2f} peak={self.peak:.0f}MB{rss} rc={self.rc} {self.faults}"


def stat(pid):
    with open(f"/proc/{pid}/stat") as f:
        s = f.read()
    rest = s[s.rindex(")") + 2:].split()
    return int(rest[1]), [int(x) for x in rest[11:15]], int(rest[21])  # parent, times, pages


def all_processes():
    out = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                out[int(d)] = stat(d)
            except (OSError, ValueError):
                pass
    return out


def tree(root, procs):
    children = {}
    for p, (parent, _, _) in procs.items():
        children.setdefault(parent, []).append(p)
    out, todo = [], [root]
    while todo:
        p = todo.pop()
        if p in procs:
            out.append(p)
            todo += children.get(p, [])
    return out


def tree_cpu(roots):
    """CPU seconds of process trees, with those of their children that have ended."""
    total, procs = 0, all_processes()
    for root in roots:
        total += sum(sum(procs[p][1]) for p in tree(root, procs))
    return total / TICK


def cpu(pid):
    """CPU seconds of one process."""
    return sum(stat(pid)[1][:2]) / TICK


def peak(pid):
    """The most memory a process ever had, in MB; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


def run(argv, log, servers=(), whole_tree=False, kill_when=None, limit=None):
    """Run argv in a session of its own and return a Run. SIGKILL goes to the session
    when kill_when() is true, or after limit seconds. whole_tree looks at all processes
    every 20 ms, which costs a few per cent of a small machine."""
    before = tree_cpu(servers)
    with open(log, "ab") as out:
        begun = time.monotonic()
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    most, stop = {"peak": 0, "rss": 0}, threading.Event()

    def watch():
        every = 0.005 if kill_when else 0.02
        while not stop.is_set():
            most["peak"] = max(most["peak"], peak(p.pid))
            if whole_tree:
                procs = all_processes()
                most["rss"] = max(most["rss"], sum(procs[x][2] for x in tree(p.pid, procs)))
            if (kill_when and kill_when()) or (limit and time.monotonic() - begun > limit):
                os.killpg(p.pid, signal.SIGKILL)
                return
            stop.wait(every)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        _, status, used = os.wait4(p.pid, 0)
    except BaseException:                   # the bench is told to end
        os.killpg(p.pid, signal.SIGKILL)
        stop.set()
        raise
    wall = time.monotonic() - begun
    p.returncode = os.waitstatus_to_exitcode(status)
    stop.set()
    watcher.join()
    time.sleep(0.1)                         # the servers' processes end
    return Run(wall, used.ru_utime + used.ru_stime, tree_cpu(servers) - before, most["peak"], most["rss"] * PAGE / 2**20, p.returncode)
