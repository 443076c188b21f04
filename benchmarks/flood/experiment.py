"""Every machine prints line after line: is each of them recorded?"""

from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import lines
from pushpull.engine.experiment import Verdict, claim, experiment
from pushpull.engine.scenario import Lab


@experiment(
    source="the lab itself: what its live view costs",
    reads=lines(received={"flood": r"line (\d+)"}),
    count=33_334,
    interval=0.0003,
)
def flood(lab: Lab) -> None:
    lab.start("flood", on=[*lab.machines("pusher"), *lab.machines("puller")]).wait()


@claim("Every line of every machine is recorded, once and in its order.")
def each_is_recorded(run: Run) -> Verdict:
    wrong = [m for m in run.receivers if [x.number for x in run.by(m)] != list(run.planned)]
    if wrong:
        return Verdict.refuted(f"Not so of {', '.join(wrong)}.")
    return Verdict.holds(f"{len(run.planned):,} lines of each of {', '.join(run.receivers)}.")
