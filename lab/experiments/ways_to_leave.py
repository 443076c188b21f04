"""Every way a worker can leave, side by side: does the pusher notice, and what is lost?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats, silence, ways
from pushpull.experiments.judges.ways import WAYS, option_names, play


@experiment(
    source="article, 'ZeroMQ does a lot of the heavy lifting'",
    reads=line_formats.read,
    count=40,
    interval=0.1,
    faults={name: way.needs for name, way in WAYS.items()},
    variants=tuple(WAYS),
    uses={name: {"push": option_names(way.options), "pull": []} for name, way in WAYS.items()},
)
def ways_to_leave(lab: Lab) -> None:
    play(lab, WAYS[lab.variant])


@claim(
    "A worker that closes its connection is noticed at once; a silent one never, or after a"
    " time-out.",
    source="zmq_setsockopt(3), ZMQ_HEARTBEAT_IVL, ZMQ_TCP_MAXRT; zeromq/libzmq#3392, #2306",
    rests_on=f"{leaving.GOODBYE}; {silence.UNHEARD}; {silence.PING}",
    disputed_by=silence.HEAVY_LIFTING,
    timed=True,
)
def notice_is_as_told(run: Run) -> Verdict:
    return ways.noticed(run, WAYS[run.variant])


@claim(
    "On the wire, a worker that is noticed at once sends FIN or RST; any other sends neither.",
    source="zeromq/zyre#529",
    by_chance=True,
    rests_on="RFC 9293, sections 3.6 (who closes sends FIN) and 3.5.2 (who knows of none, RST)",
    timed=True,
)
def wire_tells_the_same(run: Run) -> Verdict:
    way = WAYS[run.variant]
    return silence.wire_tells(run, goodbye=way.fate == "spared" or way.ends_killed)


@claim(
    "A closed connection loses nothing; silence loses each message of its turn until it is"
    " noticed; if the silence ends in time, they arrive late; none arrives twice.",
    source="RFC 30 (PIPELINE); zeromq/libzmq#160",
    rests_on=f"{silence.BLIND}; {leaving.DISCARDED}",
    disputed_by=silence.BY_AVAILABILITY,
    timed=True,
)
def messages_fare_as_told(run: Run) -> Verdict:
    way = WAYS[run.variant]
    if (once := history.never_twice(run)).outcome != "holds":
        return once
    if way.fate == "spared":
        return leaving.none_is_lost(run, leaving.after_the_fault(run))
    return silence.its_turns_are(run, late=way.fate == "late")
