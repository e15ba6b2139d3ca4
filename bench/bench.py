#!/usr/bin/env python3
"""Run mailbox-copying tools on the same work and print one table.

  eval "$(bench/servers.sh start DIR | sed 's/^/export /')"     # or: just start
  bench/corpus.py --users 1 --messages 5000 --nul
  bench/bench.py --dir DIR snapshot                # remember the source's mail
  bench/bench.py --dir DIR one  --tools mbsync,imapsync --runs 3
  bench/bench.py --dir DIR one  --tools own --tool 'own=/path/bin sync --src {src_host}:{src_port} ...'
  bench/bench.py --dir DIR many --users 100 --prefix m --parallel 4
  bench/bench.py --dir DIR kill --tools mbsync --at 20,40,60,80

`one` measures three phases of one mailbox: initial (empty target), noop
(nothing changed), incr (--new new messages and --flags flag changes on the
source). Before each initial run the source is put back to the snapshot, the
target is wiped and the tool's state directory {work} removed. verify.py judges
every run. `many` is the same over a fleet, PARALLEL processes at once through
xargs -P, or in one process where the tool has a "many" template. `kill` sends
SIGKILL to the tool's whole session each time the target has reached the next
percentage of the messages, then lets it finish, and verifies.

A tool is a shell command template, with an optional set-up template that writes
its configuration (not timed): table/tools.py has them and tells the placeholders.
Add one with --tool NAME=TEMPLATE [--tool-setup NAME=TEMPLATE] [--tool-many
NAME=TEMPLATE], or in a file given by --tools-file: JSON
{"name": {"setup": "...", "cmd": "...", "many": "..."}}.
The column "x TOOL" is the wall time as a multiple of that tool's (--base).

CPU is user+system of the tool and what it waited for (wait4). "srv CPU" is that
of both Dovecot process trees. RSS is the peak of the sum over the tool's live
processes, sampled every 20 ms.
"""
import argparse
import copy
import json
import os
import re
import shutil
import statistics
import sys
import time

from imapraw import Conn
from table.contest import contest
from table.stage import Stage, faults
from table.tools import TOOLS


def stage(a):
    """The servers in DIR, and the tools with those of the command line."""
    tools = copy.deepcopy(TOOLS)
    if a.tools_file:
        tools.update(json.load(open(a.tools_file)))
    for opt, key in ((a.tool, "cmd"), (a.tool_setup, "setup"), (a.tool_many, "many")):
        for t in opt or []:
            n, c = t.split("=", 1)
            tools.setdefault(n, {})[key] = c
    return Stage(a.dir, tools=tools)


def ends(a):
    return {k: v for k, v in (("src_port", a.src_port), ("dst_port", a.dst_port)) if v}


def table(rows, head):
    rows = [head] + rows
    w = [max(len(str(r[i])) for r in rows) for i in range(len(head))]
    for r in rows:
        print("  ".join(str(c).ljust(w[i]) if i in (0, 1) or i == len(head) - 1 else str(c).rjust(w[i]) for i, c in enumerate(r)))


def med(rs, k):
    return statistics.median(getattr(r, k) for r in rs)


def one(a):
    s, tools, phases = stage(a), a.tools.split(","), a.phases.split(",")
    res = contest(s, a.user, {t: a.runs for t in tools}, phases, ends(a), limit=a.limit, show=a.show, whole_tree=True,
                  day=lambda: s.mutate(a.user[:-4], 1, a.new, a.flags, a.expunge))
    out, first = [], a.base or tools[0]
    for phase in phases:
        for tool in tools:
            rs = res.get((phase, tool))
            if not rs:
                continue
            w, ours = med(rs, "wall"), res.get((phase, first))
            out.append([phase, tool, len(rs), f"{w:.2f}", f"{w / med(ours, 'wall'):.2f}" if ours else "-", f"{min(r.wall for r in rs):.2f}-{max(r.wall for r in rs):.2f}",
                        f"{med(rs, 'cpu'):.2f}", f"{med(rs, 'srv'):.2f}", f"{med(rs, 'rss'):.0f}", rs[-1].rc, rs[-1].faults])
    table(out, ["phase", "tool", "runs", "wall s", "x " + first, "range", "CPU s", "srv CPU", "RSS MB", "rc", "verify"])


def many(a):
    s, users, out = stage(a), [f"{a.prefix}{i:04d}" for i in range(a.users)], []
    for tool in a.tools.split(","):
        s.restore(users)
        for u in users:
            s.set_up(tool, u, ends(a))
        for phase in a.phases.split(","):
            if phase == "incr":
                s.mutate(a.prefix, a.users, a.new, a.flags, a.expunge)
            rs = [s.run_many(tool, users, a.parallel, ends(a), whole_tree=True) for _ in range(a.runs if phase == "noop" else 1)]
            total, w = s.judge(users), med(rs, "wall")
            row = [phase, tool, f"{w:.2f}", f"{total.get('source', 0) / w:.0f}", f"{len(users) / w:.1f}", f"{w / len(users) * 1000:.0f}",
                   f"{med(rs, 'cpu') / len(users) * 1000:.0f}", f"{med(rs, 'srv') / len(users) * 1000:.0f}", f"{med(rs, 'rss'):.0f}", rs[-1].rc, faults(total)]
            print("#", *row, file=sys.stderr, flush=True)
            out.append(row)
    table(out, ["phase", "tool", "wall s", "msg/s", "mbox/s", "ms/mbox", "CPU ms/mbox", "srv ms/mbox", "RSS MB", "rc", "verify"])


def counter(s, user):
    """A function that counts the messages in the user's target."""
    def on_disk():                             # Maildir: no session that could disturb
        n = 0
        for d, _, files in os.walk(s.mail("target", user)):
            if d.endswith(("/cur", "/new")):
                n += len(files)
        return n
    maildir = "mail_location = maildir" in open(s.env["DST_CONF"]).read()
    return on_disk if maildir else lambda: count(s, s.env["DST_PORT"], user)


def count(s, port, user):
    n = 0
    c = Conn("127.0.0.1", port, user, s.env["PASSWORD"])
    for r in c.cmd(b'LIST "" "*" RETURN (STATUS (MESSAGES))'):
        m = re.search(rb"\(MESSAGES (\d+)\)", b"".join(r))
        n += int(m.group(1)) if m else 0
    c.logout()
    return n


def kill(a):
    """SIGKILL at each percentage, restart, and see what is left."""
    s, out = stage(a), []
    for run in range(a.runs):
        for tool in a.tools.split(","):
            s.restore([a.user])
            s.set_up(tool, a.user, ends(a))
            have, total, at = counter(s, a.user), count(s, s.env["SRC_PORT"], a.user), []

            def go(**kw):
                return s.run(tool, a.user, ends(a), limit=a.limit, **kw)
            for pct in [float(x) for x in a.at.split(",")]:
                r = go(kill_when=lambda: have() >= total * pct / 100)
                at.append(f"{have()}{'' if r.rc == -9 else '(ended rc=%d)' % r.rc}")
            time.sleep(0.5)
            mid = s.verify(a.user)
            r = go()
            v = faults(s.verify(a.user, show=a.show))
            go()
            again = faults(s.verify(a.user))
            harm = faults({k: x for k, x in mid.items() if k in ("duplicate", "extra", "wrong_flags", "wrong_date", "altered", "detail")})
            out.append(f"{tool} run {run}: killed with {' '.join(at)} messages in the target; before the last restart: {harm}; "
                       f"finished rc={r.rc}: {v}; one more pass: {'same as that' if again == v else again}")
            print("#", out[-1], file=sys.stderr, flush=True)
    print("\n".join(out))


def snapshot(a):
    s = Stage(a.dir)
    shutil.rmtree(s.golden, ignore_errors=True)
    s.snapshot()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("mode", choices=["snapshot", "one", "many", "kill", "list"])
    p.add_argument("--dir", required=True, help="the DIR given to servers.sh")
    p.add_argument("--tools", default="mbsync"); p.add_argument("--tools-file")
    p.add_argument("--tool", action="append"); p.add_argument("--tool-setup", action="append"); p.add_argument("--tool-many", action="append")
    p.add_argument("--phases", default="initial,noop,incr"); p.add_argument("--runs", type=int, default=1)
    p.add_argument("--user", default="u0000"); p.add_argument("--prefix", default="m")
    p.add_argument("--users", type=int, default=100); p.add_argument("--parallel", type=int, default=4)
    p.add_argument("--src-port", help="what the tool connects to (a delay proxy), not what verify uses"); p.add_argument("--dst-port")
    p.add_argument("--new", type=int, default=50); p.add_argument("--flags", type=int, default=50); p.add_argument("--expunge", type=int, default=0)
    p.add_argument("--at", default="20,40,60,80"); p.add_argument("--limit", type=float, default=900, help="seconds before a run is killed")
    p.add_argument("--base", help="the tool that the ratios of `one` refer to (the first of --tools)")
    p.add_argument("--show", type=int, default=0)
    a = p.parse_args()
    a.dir = os.path.abspath(a.dir)
    if a.mode == "list":
        print("\n".join(TOOLS)); return
    {"snapshot": snapshot, "one": one, "many": many, "kill": kill}[a.mode](a)


if __name__ == "__main__":
    main()
