"""Every way a worker can leave, side by side: does the pusher notice, and what is lost?"""

from lab.claims import Run
from lab.experiment import Verdict, claim, experiment
from lab.experiments import leaving, messages, silence
from lab.experiments.ways import NOTICED_S, WAYS, play
from lab.scenario import Lab


@experiment(
    source="article, 'ZeroMQ does a lot of the heavy lifting'",
    reads=messages.read,
    count=40,
    interval=0.1,
    faults={name: way.needs for name, way in WAYS.items()},
    variants=tuple(WAYS),
)
def ways_to_leave(lab: Lab) -> None:
    play(lab, WAYS[lab.variant])


@claim(
    "Who says goodbye is noticed at once; who falls silent never, or after a set time-out.",
    source="zmq_setsockopt(3), ZMQ_HEARTBEAT_IVL and _TIMEOUT; zeromq/libzmq#3392",
)
def notice_is_as_told(run: Run) -> Verdict:
    way = WAYS[run.variant]
    if way.fate == "spared":
        return silence.is_noticed_within(run, 0.0, 0.0)
    if "TIMEOUT" in "".join(way.options):
        return silence.is_noticed_within(run, *NOTICED_S)
    if way.options:
        return silence.is_noticed_within(run, 1.0, 2.0)
    return silence.is_not_noticed(run)


@claim(
    "On the wire, who is noticed at once says goodbye by FIN or RST; who is not says nothing.",
    source="RFC 9293, section 3.6; zeromq/zyre#529",
    by_chance=True,
)
def wire_tells_the_same(run: Run) -> Verdict:
    return silence.wire_tells(run, goodbye=WAYS[run.variant].fate == "spared")


@claim(
    "Goodbyes cost nothing; silence costs each message of its turn until it is noticed; one that"
    " ends in time brings them late.",
    source="RFC 30 (PIPELINE); zeromq/libzmq#160",
)
def messages_fare_as_told(run: Run) -> Verdict:
    way = WAYS[run.variant]
    if way.fate == "spared":
        return leaving.none_is_lost(run, leaving.after_the_fault(run))
    if way.fate == "late":
        return silence.its_turns_are_late(run)
    return silence.its_turns_are_lost(run, silence.sent_unnoticed(run))
