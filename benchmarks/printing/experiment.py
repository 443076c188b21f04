"""One machine prints as fast as it can: is each line recorded?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment, lines


@experiment(
    source="the lab itself: what its capture costs",
    reads=lines(received={"printing": r"line (\d+)"}),
    count=1_000_000,
    interval=0.0,
)
def printing(lab: Lab) -> None:
    lab.start("printing", on="pusher").wait()


@claim("Every line is recorded, once and in its order.")
def each_is_recorded(run: Run) -> Verdict:
    if list(run.received.numbers) != list(run.planned):
        return Verdict.refuted(f"{len(run.received):,} lines are not the {len(run.planned):,}.")
    return Verdict.holds(f"{len(run.planned):,} lines.")
