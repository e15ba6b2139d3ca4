"""What a row says, and the table of them."""
import dataclasses
import statistics


@dataclasses.dataclass
class Line:
    """One line of the table."""
    row: str                # the name that BENCH_ROWS takes
    work: str
    target: str             # in words
    ours: str = "–"         # with its unit
    raw: str = "–"          # the ceiling
    ratio: float = None     # ours as a multiple of it
    met: bool = None        # None: nothing is asked
    peers: str = ""         # likewise as multiples of the ceiling
    wrong: str = ""         # what the judge found fault with

    def cells(self):
        verdict = {True: "met", False: "**missed**", None: ""}[self.met]
        if self.wrong:
            verdict = "**WRONG: " + self.wrong.replace("|", "/").replace("\n", " ") + "**"
        return [self.row, self.work, self.target, self.ours, self.raw, f"{self.ratio:.2f} x" if self.ratio else "–", verdict, self.peers or "–"]


HEAD = ["row", "work", "target", "Mailhaul", "raw", "ratio", "", "peers (x raw)"]


def markdown(lines):
    """The table, with columns of even width."""
    rows = [HEAD] + [line.cells() for line in lines]
    wide = [max(3, *(len(r[i]) for r in rows)) for i in range(len(HEAD))]
    text = [["-" * w for w in wide]]
    rows[1:1] = text
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(r, wide)) + " |" for r in rows)


def median(runs, key="wall"):
    return statistics.median(getattr(r, key) for r in runs)


def seconds(s):
    return f"{s:.2f} s" if s >= 0.1 else f"{1000 * s:.0f} ms"


def against(runs, raw):
    """A peer's time, and as a multiple of the ceiling; "?" where it failed."""
    w = median(runs)
    return f"{seconds(w)} ({w / raw:.1f})" + ("" if all(r.rc == 0 for r in runs) else f" rc={runs[-1].rc}")


def speed(row, work, most, ours, raw, peers, base="raw"):
    """A line of a comparison of times: runs of ours, runs of the ceiling, {peer: runs}."""
    mine, ceiling = median(ours), median(raw)
    wrong = "; ".join({r.faults for r in ours if r.faults not in ("", "same")} | {f"exit code {r.rc}" for r in ours if r.rc})
    return Line(row, work, f"<= {most:g} x {base}", seconds(mine), seconds(ceiling), mine / ceiling, mine <= most * ceiling,
                ", ".join(f"{name} {against(rs, ceiling)}" for name, rs in peers.items() if rs), wrong)
