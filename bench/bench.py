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
its configuration (not timed). Placeholders:
  {src_host} {src_port} {src_tls_port} {dst_host} {dst_port} {dst_tls_port}
  {user} {password} {work} {src_conf} {dst_conf} {here} {mailhaul}
and in a "many" template {users_file} (one user a line) and {parallel}.
Add one with --tool NAME=TEMPLATE [--tool-setup NAME=TEMPLATE] [--tool-many
NAME=TEMPLATE], or in a file given by --tools-file: JSON
{"name": {"setup": "...", "cmd": "...", "many": "..."}}.
imapsync is not shipped: name its script in the environment as IMAPSYNC. LIMIT and
MAILHAUL name those programs (default: limit on the path, ../bin/mailhaul). The
column "x TOOL" is the wall time as a multiple of that tool's (--base).

CPU is user+system of the tool and what it waited for (wait4). "srv CPU" is that
of both Dovecot process trees. RSS is the peak of the sum over the tool's live
processes, sampled every 20 ms.
"""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
IMAPSYNC = ("perl {imapsync} --host1 {src_host} --port1 {src_port} --user1 {user} --password1 {password}"
            " --host2 {dst_host} --port2 {dst_port} --user2 {user} --password2 {password}"
            " --nossl1 --nossl2 --notls1 --notls2 --nolog --tmpdir {work} --pidfile {work}/pid --noreleasecheck")
MBSYNC_SETUP = r"""cat > {work}/mbsyncrc <<'END'
SyncState {work}/state/

IMAPStore src
Host {src_host}
Port {src_port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore dst
Host {dst_host}
Port {dst_port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

Channel c
Far :src:
Near :dst:
Patterns INBOX *
Create Near
Sync PullNew PullFlags
CopyArrivalDate yes
END
mkdir -p {work}/state"""
OFFLINEIMAP_SETUP = r"""cat > {work}/rc <<'END'
[general]
accounts = a
metadata = {work}/meta
maxsyncaccounts = 1
ui = quiet
fsync = False
[Account a]
localrepository = dst
remoterepository = src
[Repository src]
type = IMAP
remotehost = {src_host}
remoteport = {src_port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = LOGIN
readonly = True
maxconnections = 2
subscribedonly = no
[Repository dst]
type = IMAP
remotehost = {dst_host}
remoteport = {dst_port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = LOGIN
maxconnections = 2
subscribedonly = no
END"""
DOVEADM = ("doveadm -c {dst_conf} -o imapc_host={src_host} -o imapc_port={src_port} -o imapc_user={user}"
           " -o imapc_password={password} -o mail_prefetch_count=20 -o imapc_list_prefix="
           " -o 'imapc_features=rfc822.size fetch-headers'")
TOOLS = {
    "mailhaul": {"cmd": "{mailhaul} sync --source imap+plain://{user}:{password}@{src_host}:{src_port}"
                        " --target imap+plain://{user}:{password}@{dst_host}:{dst_port} --state {work}/state --output json"},
    "imapsync": {"cmd": IMAPSYNC},
    "imapsync-uid": {"cmd": IMAPSYNC + " --useuid"},
    "imapsync-fast": {"cmd": IMAPSYNC + " --useuid --nofoldersizes --nofoldersizesatend --noid --fastio1 --fastio2"
                             " --subscribe_all --noabletosearch"},
    "mbsync": {"setup": MBSYNC_SETUP, "cmd": "mbsync -q -c {work}/mbsyncrc c"},
    "offlineimap": {"setup": OFFLINEIMAP_SETUP, "cmd": "offlineimap -c {work}/rc -o -u quiet"},
    "doveadm-backup": {"cmd": DOVEADM + " backup -R -u {user} imapc:"},
    "doveadm-sync1": {"cmd": DOVEADM + " sync -1 -R -u {user} imapc:"},
    "doveadm-sync1-state": {"cmd": "st=$(cat {work}/dsync-state 2>/dev/null || true); " + DOVEADM +
                            " sync -1 -R -s \"$st\" -u {user} imapc: > {work}/st.new; r=$?;"
                            " [ $r = 0 ] && mv {work}/st.new {work}/dsync-state; exit $r"},
    "larch": {"setup": "touch {work}/none", "cmd": "HOME={work} larch --all --from imap://{src_host}:{src_port} --from-user {user} --from-pass {password}"
                     " --to imap://{dst_host}:{dst_port} --to-user {user} --to-pass {password} --database {work}/l.db"
                     " --config {work}/none --verbosity warn --max-retries 0"},
    "imapcopy": {"setup": "printf 'SourceServer {src_host}\\nSourcePort {src_port}\\nDestServer {dst_host}\\nDestPort {dst_port}\\n"
                          "Copy \"{user}\" \"{password}\" \"{user}\" \"{password}\"\\n' > {work}/ImapCopy.cfg",
                 "cmd": "cd {work} && imapcopy"},
    "limit-copy1": {"cmd": "{limit} copy -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -user {user} -pass {password} -multi 1", "phases": ["initial"]},
    "limit-copy50": {"cmd": "{limit} copy -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -user {user} -pass {password} -multi 50", "phases": ["initial"]},
    "limit-copy1-sel": {"cmd": "{limit} copy -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -user {user} -pass {password} -multi 1 -select", "phases": ["initial"]},
    "limit-copy50-x4": {"cmd": "{limit} copy -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -user {user} -pass {password} -multi 50 -conns 4", "phases": ["initial"]},
    "limit-noop": {"cmd": "{limit} noop -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -user {user} -pass {password} -how status", "phases": ["noop"]},
    "limit-noop-flags": {"cmd": "{limit} noop -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -user {user} -pass {password} -how flags -both", "phases": ["noop"]},
}


def proc_stat(pid):
    with open(f"/proc/{pid}/stat") as f:
        s = f.read()
    rest = s[s.rindex(")") + 2:].split()
    return int(rest[1]), [int(x) for x in rest[11:15]], int(rest[21])  # ppid, times, rss pages


def all_procs():
    out = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                out[int(d)] = proc_stat(d)
            except (OSError, ValueError):
                pass
    return out


def tree(root, procs=None):
    procs = procs or all_procs()
    kids = {}
    for p, (pp, _, _) in procs.items():
        kids.setdefault(pp, []).append(p)
    out, todo = [], [root]
    while todo:
        p = todo.pop()
        if p in procs:
            out.append(p)
            todo += kids.get(p, [])
    return out, procs


def server_cpu(pids):
    total = 0
    procs = all_procs()
    for root in pids:
        ps, _ = tree(root, procs)
        total += sum(sum(procs[p][1][:4]) if p == root else sum(procs[p][1]) for p in ps)
    return total / TICK


class Bench:
    def __init__(self, a):
        self.a = a
        self.env = dict(l.strip().split("=", 1) for l in open(os.path.join(a.dir, "env")))
        for k in ("source", "target"):
            self.env[k] = int(open(os.path.join(a.dir, k, "run/master.pid")).read())
        self.work = os.path.join(a.dir, "work")
        self.tools = dict(TOOLS)
        if a.tools_file:
            self.tools.update(json.load(open(a.tools_file)))
        for opt, key in ((a.tool, "cmd"), (a.tool_setup, "setup"), (a.tool_many, "many")):
            for t in opt or []:
                n, c = t.split("=", 1)
                self.tools.setdefault(n, {})[key] = c

    def sub(self, template, tool, user, **kw):
        e, a = self.env, self.a
        v = dict(src_host="127.0.0.1", dst_host="127.0.0.1", src_port=a.src_port or e["SRC_PORT"],
                 dst_port=a.dst_port or e["DST_PORT"], src_tls_port=e["SRC_TLS_PORT"], dst_tls_port=e["DST_TLS_PORT"],
                 user=user, password=e["PASSWORD"], work=os.path.join(self.work, tool, user), here=HERE,
                 src_conf=e["SRC_CONF"], dst_conf=e["DST_CONF"], imapsync=os.environ.get("IMAPSYNC", "imapsync"),
                 limit=os.environ.get("LIMIT", "limit"), mailhaul=os.environ.get("MAILHAUL", os.path.join(HERE, "../bin/mailhaul")),
                 parallel=str(a.parallel), **kw)
        return re.sub(r"\{(%s)\}" % "|".join(v), lambda m: str(v[m.group(1)]), template)

    def setup(self, tool, user):
        w = os.path.join(self.work, tool, user)
        shutil.rmtree(w, ignore_errors=True)
        os.makedirs(w)
        s = self.tools[tool].get("setup")
        if s:
            subprocess.run(["bash", "-c", self.sub(s, tool, user)], check=True)

    def restore(self, users):
        g, m = os.path.join(self.a.dir, "golden"), os.path.join(self.a.dir, "source/mail")
        for u in users:
            shutil.rmtree(os.path.join(m, u), ignore_errors=True)
            subprocess.run(["cp", "-a", os.path.join(g, u), os.path.join(m, u)], check=True)
            shutil.rmtree(os.path.join(self.a.dir, "target/mail", u), ignore_errors=True)

    def run(self, argv, log, kill_when=None, limit=None):
        """Run argv; returns wall, cpu, rss, srvcpu, rc."""
        s0 = server_cpu((self.env["source"], self.env["target"]))
        out = open(log, "ab")
        t0 = time.monotonic()
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        peak, stop = [0], threading.Event()

        def sample():
            while not stop.is_set():
                try:
                    ps, procs = tree(p.pid)
                    peak[0] = max(peak[0], sum(procs[x][2] for x in ps))
                except Exception:
                    pass
                if kill_when and kill_when():
                    os.killpg(p.pid, signal.SIGKILL)
                    return
                if limit and time.monotonic() - t0 > limit:
                    os.killpg(p.pid, signal.SIGKILL)
                    return
                stop.wait(0.02 if not kill_when else 0.005)
        th = threading.Thread(target=sample)
        th.start()
        _, st, ru = os.wait4(p.pid, 0)
        wall = time.monotonic() - t0
        p.returncode = os.waitstatus_to_exitcode(st)
        stop.set()
        th.join()
        time.sleep(0.1)
        s1 = server_cpu((self.env["source"], self.env["target"]))
        return dict(wall=wall, cpu=ru.ru_utime + ru.ru_stime, rss=peak[0] * PAGE / 2**20, srv=s1 - s0, rc=p.returncode)

    def verify(self, user, show=0):
        e = self.env
        r = subprocess.run([sys.executable, os.path.join(HERE, "verify.py"), "--json", "--user", user, "--show", str(show),
                            "--src", f"127.0.0.1:{e['SRC_PORT']}", "--dst", f"127.0.0.1:{e['DST_PORT']}",
                            "--password", e["PASSWORD"]], capture_output=True, text=True)
        if show:
            sys.stderr.write(r.stderr)
        return json.loads(r.stdout) if r.stdout.strip() else {"error": r.stderr.strip()}

    def mutate(self, prefix, users, day=1):
        subprocess.run([sys.executable, os.path.join(HERE, "corpus.py"), "--mutate", "--prefix", prefix, "--users", str(users),
                        "--new", str(self.a.new), "--flags", str(self.a.flags), "--expunge", str(self.a.expunge),
                        "--day", str(day), "--port", self.env["SRC_PORT"], "--password", self.env["PASSWORD"]],
                       check=True, stderr=subprocess.DEVNULL)

    def log(self, tool):
        os.makedirs(os.path.join(self.a.dir, "log"), exist_ok=True)
        return os.path.join(self.a.dir, "log", tool + ".log")


def faults(v):
    if "error" in v:
        return v["error"]
    keep = {k: x for k, x in v.items() if x and k not in ("source", "target", "bytes", "ok", "detail")}
    s = " ".join(f"{k}={x}" for k, x in keep.items()) or "same"
    return s + (" " + " ".join(f"{k}={x}" for k, x in v.get("detail", {}).items()) if v.get("detail") else "")


def table(rows, head):
    rows = [head] + rows
    w = [max(len(str(r[i])) for r in rows) for i in range(len(head))]
    for r in rows:
        print("  ".join(str(c).ljust(w[i]) if i in (0, 1) or i == len(head) - 1 else str(c).rjust(w[i]) for i, c in enumerate(r)))


def med(rs, k):
    return statistics.median(r[k] for r in rs)


def one(b):
    a, res = b.a, {}
    for run in range(a.runs):
        for tool in a.tools.split(","):
            b.restore([a.user])
            b.setup(tool, a.user)
            argv = ["bash", "-c", b.sub(b.tools[tool]["cmd"], tool, a.user)]
            for phase in a.phases.split(","):
                if phase not in b.tools[tool].get("phases", [phase]):
                    continue
                if phase == "incr":
                    b.mutate(a.user[:-4], 1)
                r = b.run(argv, b.log(tool), limit=a.limit)
                r["v"] = b.verify(a.user, a.show)
                res.setdefault((phase, tool), []).append(r)
                print(f"# run {run} {tool} {phase}: wall={r['wall']:.2f} cpu={r['cpu']:.2f} rss={r['rss']:.0f} srv={r['srv']:.2f} rc={r['rc']} {faults(r['v'])}", file=sys.stderr, flush=True)
                if r["rc"] == -9:
                    break
    out, first = [], a.base or a.tools.split(",")[0]
    for phase in a.phases.split(","):
        for tool in a.tools.split(","):
            rs = res.get((phase, tool))
            if not rs:
                continue
            v, w = rs[-1]["v"], med(rs, "wall")
            n, by = v.get("source", 0), v.get("bytes", 0)
            ours = res.get((phase, first))
            out.append([phase, tool, len(rs), f"{w:.2f}", f"{w / med(ours, 'wall'):.2f}" if ours else "-", f"{min(r['wall'] for r in rs):.2f}-{max(r['wall'] for r in rs):.2f}",
                        f"{n/w:.0f}", f"{by/w/1e6:.1f}" if phase == "initial" else "-", f"{med(rs,'cpu'):.2f}", f"{med(rs,'srv'):.2f}",
                        f"{med(rs,'rss'):.0f}", rs[-1]["rc"], faults(v)])
    table(out, ["phase", "tool", "runs", "wall s", "x " + first, "range", "msg/s", "MB/s", "CPU s", "srv CPU", "RSS MB", "rc", "verify"])
    return res


def many(b):
    a = b.a
    users = [f"{a.prefix}{i:04d}" for i in range(a.users)]
    out = []
    for tool in a.tools.split(","):
        b.restore(users)
        for u in users:
            b.setup(tool, u)
        d = os.path.join(b.work, tool)
        uf = os.path.join(d, "users")
        open(uf, "w").write("\n".join(users) + "\n")
        t = b.tools[tool]
        if t.get("many"):
            argv = ["bash", "-c", b.sub(t["many"], tool, "fleet", users_file=uf)]
        else:
            for u in users:
                open(os.path.join(d, u + ".sh"), "w").write(b.sub(t["cmd"], tool, u) + "\n")
            argv = ["bash", "-c", f"sed 's|^|{d}/|;s|$|.sh|' {uf} | xargs -P{a.parallel} -n1 bash"]
        for phase in a.phases.split(","):
            if phase == "incr":
                b.mutate(a.prefix, a.users)
            rs = [b.run(argv, b.log(tool + "-many")) for _ in range(a.runs if phase == "noop" else 1)]
            vs = [b.verify(u) for u in users]
            tot, det = {}, {}
            for v in vs:
                for k, x in v.items():
                    if isinstance(x, int) and k != "ok":
                        tot[k] = tot.get(k, 0) + x
                for k, x in v.get("detail", {}).items():
                    det[k] = det.get(k, 0) + x
            tot["detail"] = det
            w = med(rs, "wall")
            row = [phase, tool, f"{w:.2f}", f"{tot.get('source',0)/w:.0f}", f"{len(users)/w:.1f}", f"{w/len(users)*1000:.0f}",
                   f"{med(rs,'cpu')/len(users)*1000:.0f}", f"{med(rs,'srv')/len(users)*1000:.0f}", f"{med(rs,'rss'):.0f}", rs[-1]["rc"], faults(tot)]
            print("#", *row, file=sys.stderr, flush=True)
            out.append(row)
    table(out, ["phase", "tool", "wall s", "msg/s", "mbox/s", "ms/mbox", "CPU ms/mbox", "srv ms/mbox", "RSS MB", "rc", "verify"])


def kill(b):
    """SIGKILL at each percentage, restart, and see what is left."""
    sys.path.insert(0, HERE)
    from imapraw import Conn
    a, out = b.a, []
    for run in range(a.runs):
        for tool in a.tools.split(","):
            b.restore([a.user])
            b.setup(tool, a.user)
            argv = ["bash", "-c", b.sub(b.tools[tool]["cmd"], tool, a.user)]
            def count_disk():                  # Maildir: no session that could disturb
                n = 0
                for d, sub, files in os.walk(os.path.join(a.dir, "target/mail", a.user)):
                    if d.endswith(("/cur", "/new")):
                        n += len(files)
                return n

            def count(port):
                n = 0
                c = Conn("127.0.0.1", port, a.user, b.env["PASSWORD"])
                for r in c.cmd(b'LIST "" "*" RETURN (STATUS (MESSAGES))'):
                    m = re.search(rb"\(MESSAGES (\d+)\)", b"".join(r))
                    n += int(m.group(1)) if m else 0
                c.logout()
                return n
            maildir = "mail_location = maildir" in open(b.env["DST_CONF"]).read()
            have = count_disk if maildir else lambda: count(b.env["DST_PORT"])
            total, at = count(b.env["SRC_PORT"]), []
            for pct in [float(x) for x in a.at.split(",")]:
                want = total * pct / 100
                r = b.run(argv, b.log(tool + "-kill"), kill_when=lambda: have() >= want, limit=a.limit)
                at.append(f"{have()}{'' if r['rc'] == -9 else '(ended rc=%d)' % r['rc']}")
            time.sleep(0.5)
            mid = b.verify(a.user)
            r = b.run(argv, b.log(tool + "-kill"), limit=a.limit)
            v = b.verify(a.user, a.show)
            r2 = b.run(argv, b.log(tool + "-kill"), limit=a.limit)
            v2 = b.verify(a.user)
            row = [tool, run, " ".join(at), r["rc"], faults({k: x for k, x in mid.items() if k in ("duplicate", "extra", "wrong_flags", "wrong_date", "altered", "detail")}), faults(v), "same as that" if faults(v2) == faults(v) else faults(v2)]
            print("#", *row, file=sys.stderr, flush=True)
            out.append(row)
    for r in out:
        print(f"{r[0]} run {r[1]}: killed with {r[2]} messages in the target; before the last restart: {r[4]}; finished rc={r[3]}: {r[5]}; one more pass: {r[6]}")


def snapshot(b):
    g = os.path.join(b.a.dir, "golden")
    shutil.rmtree(g, ignore_errors=True)
    subprocess.run(["cp", "-a", os.path.join(b.a.dir, "source/mail"), g], check=True)


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
    b = Bench(a)
    {"snapshot": snapshot, "one": one, "many": many, "kill": kill}[a.mode](b)


if __name__ == "__main__":
    main()
