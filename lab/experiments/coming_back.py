"""A worker comes back, after each way of leaving: how long until it gets a message again?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, silence
from pushpull.experiments.judges.ways import RETURNS, come_back, option_names


@experiment(
    source="article, 'What if he comes back?'",
    reads=line_formats.read,
    count=60,
    interval=0.1,
    faults={name: way.needs for name, way in RETURNS.items()},
    variants=tuple(RETURNS),
    uses={name: {"push": [], "pull": option_names(how.options)} for name, how in RETURNS.items()},
)
def coming_back(lab: Lab) -> None:
    come_back(lab, RETURNS[lab.variant])


@claim(
    "It gets messages again within two turns, or after TCP's next retransmission; but never if"
    " only the pusher learned that the connection is over, unless the puller sends heartbeats.",
    source="zmq_setsockopt(3), ZMQ_RECONNECT_IVL, ZMQ_HEARTBEAT_IVL; RFC 6298, section 5",
    rests_on="libzmq 4.3.5, src/session_base.cpp, lines 457-470 and 541-569 (engine_error: the"
    " side that connected reconnects, once its own connection has ended)",
    disputed_by="zeromq/netmq#890, zeromq/zeromq.js#383: 'never receives again'",
    timed=True,
)
def is_served_soon(run: Run) -> Verdict:
    within_s = RETURNS[run.variant].within_s
    if within_s is None:
        return silence.is_never_served(run)
    return silence.is_served_within(run, within_s)
