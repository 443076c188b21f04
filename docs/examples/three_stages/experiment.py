"""A source deals messages, two stages work on them, a sink collects. Does each arrive once?"""

from pushpull.api import Lab, Run, Verdict, claim, exactly_once, experiment, lines


@experiment(
    source="the ZeroMQ guide, chapter 1: 'Divide and Conquer'",
    # A stage's line is about a message that it received and hands on.
    reads=lines(
        sent={"source": r"deal (\d+)", "stage": r"work (\d+)"},
        received={"stage": r"work (\d+)", "sink": r"done (\d+)"},
    ),
    interval=0.05,
    machines={"source": 1, "stage": 2, "sink": 1},
)
def three_stages(lab: Lab) -> None:
    lab.start("sink", on="sink", ready=1234)
    lab.start("stage", on="stage", args=[lab.address("source"), lab.address("sink")])
    lab.start("source", on="source").wait()


@claim("Each message goes to one stage, and from there to the sink, exactly once.")
def each_arrives_once(run: Run) -> Verdict:
    return exactly_once(run, run.planned)
