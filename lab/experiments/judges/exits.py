"""Ways in which a pusher can exit, and judges of what becomes of its last messages."""

from pushpull.analysis.history import Run
from pushpull.core.verdict import Verdict

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
    """Each message of the pusher that exited in this way was sent and arrived."""
    sent, lost = _sent_and_lost(run, way)
    if len(sent) < len(run.planned):
        return Verdict.not_observed(f"Of {len(run.planned)} sends {len(sent)} returned.")
    why = f"{len(sent) - len(lost)} of {len(sent)} messages arrived."
    return Verdict.refuted(why, messages=lost) if lost else Verdict.holds(why)


def some_lost(run: Run, way: str) -> Verdict:
    """Each message of the pusher that exited in this way was sent, and some never arrived."""
    sent, lost = _sent_and_lost(run, way)
    if len(sent) < len(run.planned):
        return Verdict.not_observed(f"Of {len(run.planned)} sends {len(sent)} returned.")
    why = f"{len(lost)} of {len(sent)} messages were lost after their send had returned."
    return Verdict.holds(why, messages=lost) if lost else Verdict.refuted(why)


def _sent_and_lost(run: Run, way: str) -> tuple[list[int], list[int]]:
    first = WAYS.index(way) * len(run.planned)
    sent = [n for n in range(first, first + len(run.planned)) if n in run.dealt]
    return sent, [n for n in sent if not run.takers.get(n)]
