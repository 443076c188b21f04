"""The pusher is there first, then the workers, one after another: who gets the first messages?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import connecting, line_formats, turns


@experiment(
    source="dectris/documentation#7; the ZeroMQ guide, chapter 1: an unfair share for the first",
    reads=line_formats.read,
    count=40,
    interval=0.1,
    takes=1,
)
def pusher_first(lab: Lab) -> None:
    pusher = lab.start("push", on="pusher", **lab.plan)
    turns.one_after_another(lab, 2)
    pusher.wait()


@claim(
    "The first worker, alone for k messages, gets k + 1 in a row.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 44-49 and 122-123 (activated, sendpipe)",
    by_chance=True,
)
def alone_for_k_gets_one_more(run: Run) -> Verdict:
    return connecting.one_more_than_alone(run)


@claim(
    "From then on the turns are strict.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 122-123 (sendpipe)",
)
def then_turns_are_strict(run: Run) -> Verdict:
    return connecting.turns_once_all_are_connected(run)


@claim(
    "Each message goes to exactly one worker.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 (sendpipe: written to one pipe)",
)
def each_to_exactly_one(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
