"""The most memory a process ever had (VmHWM)."""
from imapraw import Conn
from table.copies import MIXED, mixed
from table.fleet import not_synced, service
from table.processes import peak
from table.result import Line, median
from table.stage import faults
from table.wan import DELAY

LARGE = 200 << 20       # bytes of one message
TOGETHER = 200          # mailboxes at once
SOURCES = 4             # mailboxes that these are copies of
EACH = 400              # messages in each
JUDGED = 8              # of them are compared with their sources


def memory(t):
    s = t.stage()
    runs = t.contest(s, mixed(t), {"mailhaul": min(3, t.runs)}, phases=["initial"])["initial", "mailhaul"]
    yield line(f"one mailbox, initial, {t.size(MIXED):,} mixed messages", 40, median(runs, "peak"))
    user = large(t, int(LARGE * min(1, t.scale)))
    runs = t.contest(s, user, {"mailhaul": 1}, phases=["initial"])["initial", "mailhaul"]
    yield line(f"a message of {int(LARGE * min(1, t.scale)) >> 20} MB", 64, median(runs, "peak"), {r.faults for r in runs} - {"same"})
    yield together(t)


def line(work, most, mb, wrong=()):
    return Line("memory", "memory, " + work, f"<= {most:,} MB", f"{mb:.0f} MB", met=mb <= most, wrong="; ".join(wrong))


def large(t, size):
    if t.once("large"):
        s = t.stage()
        c = Conn("127.0.0.1", s.env["SRC_PORT"], "large", s.env["PASSWORD"])
        row = b"A line of a large attachment, seventy-six bytes long or so, as is the usage.\r\n"
        c.append(b"INBOX", b"Subject: large\r\nMessage-ID: <large@example.net>\r\n\r\n" + row * (size // len(row)), b"\\Seen", b" 4-Jan-2021 09:00:00 +0000")
        c.logout()
    return "large"


def together(t):
    """Many first copies at once in one worker, each long enough that all are under way together."""
    stage, n = t.stage(), t.size(TOGETHER)
    sources = t.mixed("h", SOURCES, t.size(EACH), keep=False)
    pairs = [(sources[i % SOURCES], f"x{i:04d}") for i in range(n)]
    stage.restore([target for _, target in pairs])
    with stage.delayed(DELAY) as far:
        with service(t, stage, pairs, far.ends, concurrency=n, limit=n) as s:
            s.all_at_once("start", n)
            mb, again = peak(s.worker), n - s.synced()
            s.wait_synced(n)                # a server without a core to spare leaves a login unanswered for a minute
            wrong = not_synced(s, n)
    wrong += {faults(stage.verify(target, source)) for source, target in pairs[::max(1, n // JUDGED)]} - {"same"}
    most = far.tally[1]["most"]
    stage.restore([target for _, target in pairs])  # two gigabytes
    return line(f"one worker, {n} mailboxes of {t.size(EACH)} mixed messages at once, 50 ms ({most} target connections at the most,"
                f" {again} needed more than one pass)", 1024, mb, wrong)
