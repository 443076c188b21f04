"""A program on a machine tries to get at the user's files and processes, and is refused."""

from pushpull.engine.experiment import experiment
from pushpull.engine.scenario import Lab


@experiment(source="design, 'the embedded lab'", count=1, interval=0)
def intruder(lab: Lab) -> None:
    lab.start("intrude", on="pusher").wait()
