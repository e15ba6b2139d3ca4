"""A hundred mailboxes through queue and store, beside tools that run once a mailbox."""
import os
import statistics

from table.processes import Run, peak
from table.result import Line, against, seconds
from table.service import Service
from table.stage import faults
from table.wan import DELAY

USERS, MESSAGES = 100, 50
ONCE = 4        # processes of a peer at once, initial
AT_ONCE = 64    # passes, and a peer's processes, over 50 ms


def fleet(t):
    return t.mixed("m", t.size(USERS), MESSAGES, keep=False)


def service(t, stage, name, n, ends, concurrency=AT_ONCE, limit=AT_ONCE):
    """A new service between the two servers, to be entered; n numbers it."""
    s = Service(os.path.join(stage.dir, f"service-{name}-{n}"), t.programs, concurrency)
    return s, {"old": (ends or {}).get("src_port", stage.env["SRC_PORT"]), "new": (ends or {}).get("dst_port", stage.env["DST_PORT"])}, limit


def prepare(s, ports, limit, pairs, password):
    for name, port in ports.items():
        s.endpoint(name, port, limit)
    s.batch(pairs, password)


def fleet_initial(t):
    stage, users, runs = t.stage(), fleet(t), []
    for n in range(min(3, t.runs)):
        stage.restore(users)
        s, ports, limit = service(t, stage, "initial", n, None, limit=8)
        with s:
            prepare(s, ports, limit, [(u, u) for u in users], stage.env["PASSWORD"])
            wall, cpu = s.all_at_once("start", len(users))
            runs.append(Run(wall, cpu, 0, peak(s.worker), 0, 0, "" if s.synced() == len(users) else f"{s.synced()} synced"))
    wrong = faults(stage.judge(users))
    peers = {}
    for tool in t.peers:
        stage.restore(users)
        for u in users:
            stage.set_up(tool, u)
        peers[tool] = [stage.run_many(tool, users, ONCE)]
    ours = statistics.median(r.wall for r in runs)
    base = peers.get("doveadm-backup", [None])[0]
    yield Line("fleet-initial", f"{len(users)} mailboxes x {MESSAGES} messages, initial, through queue and store; raw: doveadm -P{ONCE}",
               "<= doveadm -P4", seconds(ours), seconds(base.wall) if base else "–", ours / base.wall if base else None,
               ours <= base.wall if base else None, ", ".join(f"{k} -P{ONCE} {against(v, base.wall if base else ours)}" for k, v in peers.items()),
               "; ".join({r.faults for r in runs if r.faults} | ({wrong} - {"same"})))


def fleet_noop(t):
    stage, users = t.stage(), fleet(t)
    stage.restore(users)
    walls, cpus, raw, peers = [], [], [], {}
    with stage.delayed(DELAY) as far:
        s, ports, limit = service(t, stage, "noop", 0, far.ends)
        with s:
            prepare(s, ports, limit, [(u, u) for u in users], stage.env["PASSWORD"])
            s.all_at_once("start", len(users))
            for _ in range(t.runs):
                wall, cpu = s.all_at_once("sync", len(users))
                walls.append(wall)
                cpus.append(cpu)
                raw.append(stage.run_many("limit-noop", users, AT_ONCE, far.ends))
            wrong = "" if s.synced() == len(users) else f"{s.synced()} synced"
        for tool in t.peers:
            stage.restore(users)
            for u in users:
                stage.set_up(tool, u, far.ends)
            stage.run_many(tool, users, AT_ONCE, far.ends)
            peers[tool] = [stage.run_many(tool, users, AT_ONCE, far.ends)]
    ours, ceiling = statistics.median(walls), statistics.median(r.wall for r in raw)

    def each(s):
        return f"{1000 * s / len(users):.1f} ms"
    yield Line("fleet-noop", f"{len(users)} mailboxes, nothing new, 50 ms, {AT_ONCE} at once, a mailbox; raw: both sides asked over {AT_ONCE} connections",
               "<= 2 x raw", each(ours), each(ceiling), ours / ceiling, ours <= 2 * ceiling,
               ", ".join(f"{k} -P{AT_ONCE} {each(v[0].wall)} ({v[0].wall / ceiling:.1f})" for k, v in peers.items()), wrong)
    cpu = statistics.median(cpus)
    yield Line("fleet-noop", "the same, the worker's CPU a mailbox", "<= 5 ms", each(cpu), met=cpu / len(users) <= 0.005,
               peers=", ".join(f"{k} {each(v[0].cpu)}" for k, v in peers.items()))
