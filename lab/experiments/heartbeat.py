"""The pusher sends heartbeats, and every worker is healthy: do they all stay connected?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, silence
from pushpull.experiments.judges.ways import HEARTBEAT, option_names


@experiment(
    source="zmq_setsockopt(3), ZMQ_HEARTBEAT_IVL",
    reads=line_formats.read,
    count=40,
    interval=0.1,
    uses={"push": option_names(HEARTBEAT), "pull": []},
)
def heartbeat(lab: Lab) -> None:
    lab.start("pull", on="puller", to="pusher")
    # It isn't waited for: if all workers are thrown out for good, its next send waits for ever.
    lab.start("push", on="pusher", **lab.plan, set=list(HEARTBEAT))


@claim("A healthy worker answers each heartbeat, and is never thrown out.", rests_on=silence.PING)
def nobody_is_thrown_out(run: Run) -> Verdict:
    return silence.stays_connected(run)


@claim("Heartbeats lose no message and repeat none.", rests_on=silence.PING, by_chance=True)
def each_to_exactly_one(run: Run) -> Verdict:
    return silence.loses_nothing(run)
