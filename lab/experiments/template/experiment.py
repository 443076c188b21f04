"""Each machine counts. Do all of them reach the end?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment, lines


# A line of `count` that is a number is a message which that machine received.
@experiment(
    source="a question of mine",
    reads=lines(received={"count": r"(\d+)"}),
    count=5,
    interval=0.1,
)
def template(lab: Lab) -> None:
    lab.start("count", on="puller").wait()


@claim("Every machine counts to the end.")
def all_count_to_the_end(run: Run) -> Verdict:
    behind = [name for name in run.receivers if len(run.by(name)) < len(run.planned)]
    if behind:
        return Verdict.refuted(f"{', '.join(behind)} did not.")
    return Verdict.holds(f"{', '.join(run.receivers)} counted to {len(run.planned)}.")
