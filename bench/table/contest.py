"""Tools that do the same work in turn, so that a slow moment of the machine hits all."""
import sys

from table.stage import faults


def contest(stage, user, tools, phases=("initial", "noop", "incr"), ends=None, judged=lambda tool, turn: True, limit=900, show=0, day=None, **kw):
    """Run each tool as often as tools ({name: runs}) says, round by round, every phase
    of the work after a fresh start. Returns {(phase, tool): [Run]}.

    initial  into an empty target
    noop     nothing has changed
    incr     day() was called: new mail and changed flags at the source
    """
    results = {}
    for turn in range(max(tools.values())):
        for tool in (t for t, n in tools.items() if turn < n):
            stage.restore([user])
            stage.set_up(tool, user, ends)
            for phase in phases:
                if phase not in stage.tools[tool].get("phases", [phase]):
                    continue
                if phase == "incr":
                    day()
                r = stage.run(tool, user, ends, limit=limit, **kw)
                if judged(tool, turn):
                    r.faults = faults(stage.verify(user, show=show))
                results.setdefault((phase, tool), []).append(r)
                print(f"# {turn} {tool} {phase}: {r}", file=sys.stderr, flush=True)
                if r.rc == -9:
                    break
    return results
