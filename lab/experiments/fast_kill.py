"""At full speed, how exact is a kill from outside, and one that a puller does to itself?"""

from typing import Any

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats, losing


@experiment(
    source="zeromq/libzmq#160",
    reads=line_formats.read,
    count=2000,
    interval=0.0005,
    takes=2.0,
    variants=("killed", "told"),
    uses={"push": [], "pull": ["--die-at", "dies"]},
)
def fast_kill(lab: Lab) -> None:
    middle = lab.count // 2
    told = lab.variant == "told"
    flags: dict[str, Any] = {"die-at": middle} if told else {}
    pullers = lab.start("pull", on="puller", to="pusher", **flags)
    pusher = lab.start("push", on="pusher", **lab.plan)
    if told:
        lab.died(pullers)
    else:
        lab.kill(lab.first(pullers, prints=lambda line: line_formats.number(line) >= middle))
    pusher.wait()


@claim(
    "A process that kills itself at a message prints that one last; one that is killed from"
    " outside prints a few more after the line that triggers the kill.",
    by_chance=True,
    rests_on="signal(7): SIGKILL can't be caught; from outside it comes a round trip later",
    timed=True,
)
def ends_there_or_later(run: Run) -> Verdict:
    return losing.ends_there_or_later(run)


@claim(
    "Either way, only messages on their way to it are lost: none that it had printed, none sent"
    " later.",
    rests_on=leaving.DISCARDED,
    timed=True,
)
def backlog_is_lost(run: Run) -> Verdict:
    return losing.backlog_is_lost(run, behind=False)


@claim("Messages sent after the pusher noticed reach the other worker.", rests_on=leaving.GOODBYE)
def later_ones_come(run: Run) -> Verdict:
    return losing.later_ones_come(run)
