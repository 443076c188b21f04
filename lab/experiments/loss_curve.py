"""Idle or busy? What is lost with a killed worker, over the messages' gap and its work on each."""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats, losing, silence

# Seconds between two messages, seconds of work on each. A worker of two gets every second message,
# so it falls behind where its work takes longer than two gaps; of three, than three.
_GAPS = (0.002, 0.005, 0.01, 0.02, 0.05)
_WORKS = (0.0, 0.015, 0.06)
_LONGEST_S = 1.5  # is sent, but for the article's pace
LOADS = {"article": (1.0, 0.0)} | {
    f"every_{1000 * gap:.0f}ms_work_{1000 * work:.0f}ms": (gap, work)
    for work in _WORKS
    for gap in _GAPS
}


@experiment(
    source="article, 'ZeroMQ does a lot of the heavy lifting'; zeromq/libzmq#160",
    reads=line_formats.read,
    count=150,
    interval=0.1,
    variants=tuple(LOADS),
    uses={"push": ["--delay"], "pull": ["--work"]},
)
def loss_curve(lab: Lab) -> None:
    gap, work = LOADS[lab.variant]
    count = 20 if lab.variant == "article" else min(lab.count, round(_LONGEST_S / gap))
    pullers = lab.start("pull", on="puller", to="pusher", work=work)
    pusher = lab.start("push", on="pusher", count=count, interval=gap, delay=0.5)
    victim = lab.first(pullers, prints=lambda line: line_formats.number(line) >= 7)
    lab.kill(victim)
    pusher.wait()


@claim(
    "A killed worker takes its waiting messages with it: none if it kept up, its backlog if not.",
    source="RFC 30 (PIPELINE): a disconnected peer's queue is discarded; zeromq/libzmq#160",
    rests_on=leaving.DISCARDED,
    disputed_by=silence.HEAVY_LIFTING,
    timed=True,
)
def backlog_is_lost(run: Run) -> Verdict:
    gap, work = LOADS[run.variant]
    return losing.backlog_is_lost(run, behind=work > len(run.receivers) * gap)


@claim(
    "Messages sent after the pusher noticed are not lost, however busy the worker was.",
    rests_on=leaving.GOODBYE,
)
def later_ones_come(run: Run) -> Verdict:
    return losing.later_ones_come(run)
