"""Two pullers and a pusher, for the faults of `fab search`: what becomes of the messages?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats


@experiment(
    source="article, 'ZeroMQ does a lot of the heavy lifting'",
    reads=line_formats.read,
    count=40,
    interval=0.2,
)
def under_faults(lab: Lab) -> None:
    lab.start("pull", on="puller", to="pusher")
    lab.start("push", on="pusher", **lab.plan).wait()


@claim(
    "Nothing that is sent after the fault is lost.",
    by_chance=True,
    rests_on=leaving.GOODBYE,
    disputed_by="docs/leaving.md: a worker that falls silent keeps its turn",
)
def nothing_sent_after_the_fault_is_lost(run: Run) -> Verdict:
    return leaving.all_since_the_fault_arrive(run)


@claim(
    "No message is received twice, whatever fails.",
    by_chance=True,
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 (sendpipe: written to one pipe, once)",
)
def nothing_comes_twice(run: Run) -> Verdict:
    return leaving.none_comes_twice(run)
