"""Initial copies of one mailbox at loopback: the plain case, fsync, TLS, poorer targets."""
from table.bench import without
from table.result import speed

MIXED = 5000


def mixed(t):
    return t.mixed("u", 1, t.size(MIXED), "--nul")[0]


def loopback(t):
    """The plain case."""
    r = t.contest(t.stage(), mixed(t), t.tools("mailhaul", "limit-copy50"), phases=["initial"])
    yield line(t, "loopback", "initial, loopback", r, "mailhaul", "limit-copy50")


def disk(t):
    """A target that waits for its disk with every message."""
    user, s = mixed(t), t.stage("disk", on_disk=True, FSYNC="always")
    r = t.contest(s, user, t.tools("mailhaul", "limit-copy50", runs=min(3, t.runs), peer_runs=1), phases=["initial"])
    yield line(t, "disk", "initial, loopback, disk with fsync", r, "mailhaul", "limit-copy50")


def tls(t):
    """TLS on both sides, from the first byte."""
    r = t.contest(t.stage(), mixed(t), t.tools("mailhaul-tls", "limit-copy50-tls", peers=False), phases=["initial"])
    yield line(t, "tls", "initial, loopback, TLS on both sides", r, "mailhaul-tls", "limit-copy50-tls", most=1.3)


def literal_plus(t):
    """A target that takes a message a command, without being asked first."""
    user, s = mixed(t), t.stage("literal-plus", CAPABILITY_DST=without("MULTIAPPEND"))
    r = t.contest(s, user, t.tools("mailhaul", "limit-copy1", peers=False), phases=["initial"])
    yield line(t, "literal-plus", "initial, loopback, target without MULTIAPPEND", r, "mailhaul", "limit-copy1")


def line(t, row, work, r, ours, raw, most=1.25):
    peers = {name: r.get(("initial", name)) for name in t.peers}
    return speed(row, f"{work}, {t.size(MIXED):,} mixed messages", most, r["initial", ours], r["initial", raw], peers)


def plain(t):
    """A target that wants to be asked before every message: also over 50 ms, where that hurts."""
    s = t.stage("plain", CAPABILITY_DST=without("MULTIAPPEND", "LITERAL+"))
    r = t.contest(s, mixed(t), t.tools("mailhaul", "limit-copy1-sync", peers=False, runs=min(3, t.runs)), phases=["initial"])
    yield line(t, "plain", "initial, loopback, target without MULTIAPPEND and LITERAL+", r, "mailhaul", "limit-copy1-sync")
    n = t.size(200)
    user = t.mixed("p", 1, n, "--folders", 2)[0]
    with s.delayed("25ms") as far:
        r = t.contest(s, user, t.tools("mailhaul", "limit-copy1-sync", peers=False, runs=min(3, t.runs)), phases=["initial"], ends=far.ends)
    yield speed("plain", f"the same over 50 ms, {n:,} messages in 2 folders, one connection", 1.25, r["initial", "mailhaul"],
                r["initial", "limit-copy1-sync"], {})
    n = t.size(800)
    user = t.mixed("q", 1, n, "--folders", 1)[0]
    with s.delayed("25ms") as far:
        r = t.contest(s, user, t.tools("mailhaul-x4", "limit-copy1-sync-x4", peers=False, runs=min(2, t.runs)), phases=["initial"], ends=far.ends)
    yield speed("plain", f"the same over 50 ms, {n:,} messages in one folder, four connections a side", 1.25, r["initial", "mailhaul-x4"],
                r["initial", "limit-copy1-sync-x4"], {})
