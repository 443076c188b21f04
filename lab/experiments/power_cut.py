"""One puller's machine loses its power midway: does the pusher notice, and what is lost?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.core.faults.machine import CUT_POWER
from pushpull.experiments.judges import line_formats, silence


@experiment(
    source="article, 'ZeroMQ does a lot of the heavy lifting'; zeromq/libzmq#3392",
    reads=line_formats.read,
    count=60,
    interval=0.2,
    faults=(CUT_POWER,),
)
def power_cut(lab: Lab) -> None:
    pullers = lab.start("pull", on="puller", to="pusher")
    pusher = lab.start("push", on="pusher", count=lab.count, interval=lab.interval)
    victim = lab.first(pullers, prints=lambda line: line_formats.number(line) >= 7)
    lab.cut_power(victim)
    pusher.wait()


@claim(
    "The pusher does not notice: no end of a connection is reported, and every send succeeds.",
    source="zeromq/libzmq#3392; zeromq/zyre#529",
    rests_on=silence.UNHEARD,
    disputed_by=silence.HEAVY_LIFTING,
)
def pusher_notices_nothing(run: Run) -> Verdict:
    return silence.is_not_noticed(run)


@claim(
    "The dead machine keeps its turn: each message of its turn is lost, all others arrive.",
    rests_on=silence.BLIND,
    disputed_by=silence.BY_AVAILABILITY,
)
def its_turns_are_lost(run: Run) -> Verdict:
    return silence.its_turns_are_lost(run, silence.sent_unnoticed(run))
