"""A folder of 200,000 messages: as fast as one of 5,000, and soon at work again after a kill."""
import os
import time

from table.result import Line, against, median
from table.memory import line as memory_line

FEW, MANY = 5000, 200_000
SETTLING = 10   # seconds: see mailsync's settleTime


def giant(t):
    s = t.stage()
    few, many = t.size(FEW), t.size(MANY)
    a, b = t.small("few", few, 1), t.small("many", many, 1)
    runs = min(3, t.runs)
    small = t.contest(s, a, {"mailhaul": runs, "limit-copy200-sel": runs}, phases=["initial"])
    sizes = [state_size(s, a) / few]
    large = t.contest(s, b, {"mailhaul": 1, "limit-copy200-sel": 1}, phases=["initial"])
    sizes.append(state_size(s, b) / many)

    def rates(tool):
        return few / median(small["initial", tool]), many / median(large["initial", tool])
    ours, raw = rates("mailhaul"), rates("limit-copy200-sel")
    # What a commit costs a Maildir grows with the folder: raw has windows as large as ours and the folder open,
    # and tells how much of a slower rate is the server's.
    yield Line("giant", f"initial, {many:,} small messages in one folder; its rate as a multiple of that at {few:,}", ">= 0.9 x",
               f"{ours[1]:,.0f}/s (at {few:,}: {ours[0]:,.0f}/s)", f"{raw[1]:,.0f}/s (at {few:,}: {raw[0]:,.0f}/s)", ours[1] / ours[0], ours[1] >= 0.9 * ours[0],
               wrong="; ".join({r.faults for r in large["initial", "mailhaul"]} - {"same"}))
    yield Line("giant", f"record of a folder, bytes a message at {few:,} and at {many:,}", "flat", f"{sizes[0]:.2f} and {sizes[1]:.2f} bytes",
               ratio=sizes[1] / sizes[0], met=sizes[1] <= 1.25 * sizes[0])
    yield memory_line(f"one mailbox, initial, {many:,} small messages in one folder", 40, median(large["initial", "mailhaul"], "peak"))
    yield killed(s, b, median(large["initial", "mailhaul"]) / 2)


def state_size(stage, user):
    return os.path.getsize(os.path.join(stage.work("mailhaul", user), "state"))


def killed(stage, user, after):
    """Kill a copy in the middle; how long until its successor gives the target a message?
    Dovecot writes one into tmp/ first, so that folder's time tells."""
    stage.restore([user])
    stage.set_up("mailhaul", user)
    stage.run("mailhaul", user, limit=after)
    tmp = os.path.join(stage.mail("target", user), "maildir/tmp")

    def touched():
        return os.stat(tmp).st_mtime_ns
    quiet = touched()
    while time.sleep(1) or touched() != quiet:  # the server ends what it had been sent
        quiet = touched()
    r = stage.run("mailhaul", user, kill_when=lambda: touched() != quiet)
    again = r.wall - SETTLING
    return Line("giant", f"killed after {after:.1f} s: copying again, beside the {SETTLING} s in which the folder settles", "<= 3 s",
                f"{again:.1f} s", met=again <= 3, wrong="" if r.rc == -9 else f"ended with {r.rc} before it copied anything")
