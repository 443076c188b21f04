"""The same power cut, with heartbeats on the pusher's socket: what do they save?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.core.faults.machine import CUT_POWER
from pushpull.experiments.judges import leaving, line_formats, silence

_INTERVAL_MS, _TIMEOUT_MS = 1000, 3000


@experiment(
    source="zmq_setsockopt(3), ZMQ_HEARTBEAT_IVL and ZMQ_HEARTBEAT_TIMEOUT",
    reads=line_formats.read,
    count=60,
    interval=0.2,
    faults=(CUT_POWER,),
    uses={"push": ["HEARTBEAT_IVL", "HEARTBEAT_TIMEOUT"], "pull": []},
)
def power_cut_heartbeat(lab: Lab) -> None:
    pullers = lab.start("pull", on="puller", to="pusher")
    heartbeat = [f"HEARTBEAT_IVL={_INTERVAL_MS}", f"HEARTBEAT_TIMEOUT={_TIMEOUT_MS}"]
    pusher = lab.start("push", on="pusher", count=lab.count, interval=lab.interval, set=heartbeat)
    victim = lab.first(pullers, prints=lambda line: line_formats.number(line) >= 7)
    lab.cut_power(victim)
    pusher.wait()


@claim(
    "The pusher notices after the time-out, and at most one heartbeat interval later.",
    source="zmq_setsockopt(3), ZMQ_HEARTBEAT_TIMEOUT; zeromq/pyzmq#990; zeromq/libzmq#2306",
    rests_on=silence.PING,
    timed=True,
)
def pusher_notices_in_time(run: Run) -> Verdict:
    return silence.is_noticed_within(run, _TIMEOUT_MS / 1000, (_INTERVAL_MS + _TIMEOUT_MS) / 1000)


@claim(
    "What was sent to the dead machine until then is lost: nothing sends it to another.",
    source="RFC 30 (PIPELINE); zeromq/libzmq#160",
    rests_on=leaving.DISCARDED,
    disputed_by=silence.HEAVY_LIFTING,
)
def its_turns_are_lost_until_then(run: Run) -> Verdict:
    return silence.its_turns_are_lost(run, silence.sent_unnoticed(run))


@claim("From then on, the others get every message.", rests_on=leaving.GOODBYE)
def others_get_the_rest(run: Run) -> Verdict:
    return leaving.survivors_get_all(run, leaving.after_the_fault(run))
