"""One mailbox over a round trip of 50 ms: initial, nothing new, a day's changes."""
from table.result import speed

MESSAGES = 1000
DELAY = "25ms"  # each way


def wan(t):
    s, n = t.stage(), t.size(MESSAGES)
    user = t.mixed("w", 1, n, "--folders", 8)[0]
    tools = {**t.tools("mailhaul", "limit-copy50"), "limit-noop": t.runs}
    with s.delayed(DELAY) as far:
        r = t.contest(s, user, tools, ends=far.ends, day=lambda: s.mutate("w", 1))

    def peers(phase):
        return {name: r.get((phase, name)) for name in t.peers}
    asked = r["noop", "limit-noop"]
    yield speed("wan", f"initial, 50 ms, {n:,} messages in 8 folders", 1.5, r["initial", "mailhaul"], r["initial", "limit-copy50"], peers("initial"))
    yield speed("wan", "no-op pass, 50 ms; raw: the source alone asked", 2, r["noop", "mailhaul"], asked, peers("noop"))
    yield speed("wan", "incremental (50 new, 50 flags), 50 ms; raw as above", 4, r["incr", "mailhaul"], asked, peers("incr"))
