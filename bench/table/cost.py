"""What a pass with nothing new costs, with few messages and with many."""
import os
import statistics

from table.bench import without
from table.result import Line, median, seconds

SIZES = (1000, 10_000, 100_000)
FOLDERS = 10


def noop_cost(t):
    users = [(t.size(n), t.small(f"n{n}", t.size(n), FOLDERS)) for n in SIZES]
    main, poor = t.stage(), t.stage("no-condstore", CAPABILITY_SRC=without("CONDSTORE", "QRESYNC"))
    # The poorer server goes first: a Dovecot tells modification sequences of a folder that
    # was ever opened with CONDSTORE, also where it does not say that it can.
    for _, u in users:
        main.restore([u])
        poor.set_up("mailhaul", u)
        os.rename(main.mail("source", u), poor.mail("source", u))
        poor.run("mailhaul", u)
    sweep = cost(t, poor, users, "no-op pass, no CONDSTORE at the source: a FLAGS sweep a folder", sweep=True)
    for _, u in users:
        move(poor, main, u)
        main.run("mailhaul", u)             # and that is learned
    yield cost(t, main, users, "no-op pass, CONDSTORE")
    yield sweep


def move(a, b, user):
    for x, y in ((a.mail("source", user), b.mail("source", user)), (a.mail("target", user), b.mail("target", user)),
                 (a.work("mailhaul", user), b.work("mailhaul", user))):
        os.makedirs(os.path.dirname(y), exist_ok=True)
        os.rename(x, y)


def cost(t, stage, users, work, sweep=False):
    """CPU and round trips of a pass; a ratio is that of the largest and the smallest mailbox."""
    cpu, turns, size, wrong = [], [], [], set()
    for _, u in users:
        runs, seen = [], []
        for _ in range(t.runs):
            with stage.delayed("10ms") as near:
                runs.append(stage.run("mailhaul", u, near.ends))
            seen.append(near)
        wrong |= {f"exit code {r.rc}" for r in runs if r.rc}
        cpu.append(median(runs, "cpu"))
        turns.append(int(statistics.median(p.total("turns") for p in seen)))
        size.append(statistics.median(p.total("up") + p.total("down") for p in seen))
    flat = turns[-1] <= turns[0] and (sweep or cpu[-1] <= 1.25 * cpu[0] + 0.002)
    return Line("noop-cost", f"{work}: {', '.join(f'{n:,}' for n, _ in users)} messages in {FOLDERS} folders", "round trips do not grow" if sweep else "CPU and round trips do not grow",
                f"{' / '.join(seconds(c) for c in cpu)} CPU, {' / '.join(map(str, turns))} round trips of both sides, "
                f"{' / '.join(f'{b / 1000:.0f}' for b in size)} KB", ratio=cpu[-1] / cpu[0], met=flat, wrong="; ".join(wrong))
