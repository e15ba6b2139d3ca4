"""A hundred mailboxes through queue and store, beside tools that run once a mailbox."""
import contextlib
import statistics
import sys
import tempfile

from table.result import Line, against, median, seconds
from table.service import Service
from table.stage import faults
from table.wan import DELAY

USERS, MESSAGES = 100, 50
CEILING = "doveadm-backup"
ONCE = 4        # processes of a peer at once, initial
AT_ONCE = 64    # passes, and a peer's processes, over 50 ms


def fleet(t):
    return t.mixed("m", t.size(USERS), MESSAGES, keep=False)


@contextlib.contextmanager
def service(t, stage, pairs, ends=None, concurrency=AT_ONCE, limit=AT_ONCE):
    """A new service between the two servers, with a batch of these (source, target) users."""
    where = tempfile.mkdtemp(prefix="service.", dir=stage.dir)
    with Service(where, t.programs, concurrency) as s:
        ends = {"src_port": stage.env["SRC_PORT"], "dst_port": stage.env["DST_PORT"], **(ends or {})}
        s.endpoint("old", ends["src_port"], limit)
        s.endpoint("new", ends["dst_port"], limit)
        s.batch(pairs, stage.env["PASSWORD"])
        yield s


def not_synced(s, n):
    """What is wrong, where not all n are in step."""
    return [] if s.synced() == n else [f"{s.synced()} of {n} synced"]


def fleet_initial(t):
    stage, users = t.stage(), fleet(t)
    ours, peers, wrong = [], {p: [] for p in t.peers}, set()
    for n in range(t.runs):
        stage.restore(users)
        with service(t, stage, [(u, u) for u in users], limit=20) as s:
            ours.append(s.all_at_once("start", len(users))[0])
            wrong |= set(not_synced(s, len(users)))
        if n == 0:
            wrong |= {faults(stage.judge(users))} - {"same"}
        for tool in peers if n < t.peer_runs else [p for p in peers if p == CEILING]:
            stage.restore(users)
            for u in users:
                stage.set_up(tool, u)
            peers[tool].append(stage.run_many(tool, users, ONCE))
        print(f"# {n} fleet-initial: {ours[-1]:.2f} s;", ", ".join(f"{k} {v[-1].wall:.2f} s" for k, v in peers.items()), file=sys.stderr, flush=True)
    mine = statistics.median(ours)
    base = median(peers[CEILING]) if peers.get(CEILING) else None
    yield Line("fleet-initial", f"{len(users)} mailboxes x {MESSAGES} messages, initial, through queue and store; raw: doveadm -P{ONCE}",
               "<= doveadm", seconds(mine), seconds(base) if base else "–", mine / base if base else None, mine <= base if base else None,
               ", ".join(f"{k} -P{ONCE} {against(v, base or mine)}" for k, v in peers.items()), "; ".join(wrong))


def fleet_noop(t):
    stage, users = t.stage(), fleet(t)
    stage.restore(users)
    walls, cpus, raw, peers = [], [], [], {}
    with stage.delayed(DELAY) as far:
        with service(t, stage, [(u, u) for u in users], far.ends) as s:
            s.all_at_once("start", len(users))
            for n in range(t.runs):
                wall, cpu = s.all_at_once("sync", len(users))
                walls.append(wall)
                cpus.append(cpu)
                raw.append(stage.run_many("limit-noop", users, AT_ONCE, far.ends))
                print(f"# {n} fleet-noop: {wall:.2f} s, CPU {cpu:.2f} s; raw {raw[-1]}", file=sys.stderr, flush=True)
            wrong = "; ".join(not_synced(s, len(users)))
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
