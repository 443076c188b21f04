"""Ways in which a pusher can leave, and the judges of what becomes of its last messages."""

from lab.analysis.history import Run
from lab.core.verdict import Verdict

LINGER = "libzmq 4.3.5, doc/zmq_setsockopt.txt, ZMQ_LINGER"
WAYS = (
    "close",
    "exit",
    "linger",
    "drop",
    "sigterm",
    "sigkill",
)  # see lab/experiments/programs/pyzmq/leave.py


def none_lost(run: Run, way: str) -> Verdict:
    """Each message of the pusher that left in this way was sent, and came."""
    sent, lost = _sent_and_lost(run, way)
    if len(sent) < len(run.planned):
        return Verdict.not_observed(f"Of {len(run.planned)} sends {len(sent)} returned.")
    told = f"Of {len(sent)} messages {len(sent) - len(lost)} came"
    return Verdict.refuted(f"{told}.", messages=lost) if lost else Verdict.holds(f"{told}.")


def some_lost(run: Run, way: str) -> Verdict:
    """Each message of the pusher that left in this way was sent, and some came to nobody."""
    sent, lost = _sent_and_lost(run, way)
    if len(sent) < len(run.planned):
        return Verdict.not_observed(f"Of {len(run.planned)} sends {len(sent)} returned.")
    told = f"Of {len(sent)} messages whose send returned {len(lost)} were lost."
    return Verdict.holds(told, messages=lost) if lost else Verdict.refuted(told)


def _sent_and_lost(run: Run, way: str) -> tuple[list[int], list[int]]:
    first = WAYS.index(way) * len(run.planned)
    sent = [n for n in range(first, first + len(run.planned)) if n in run.dealt]
    return sent, [n for n in sent if not run.takers.get(n)]
