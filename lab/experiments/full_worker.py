"""One worker is busy, and no queue holds more than a message or two: is the busy one skipped?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.busy_worker import SLOWNESS
from pushpull.experiments.judges import line_formats, queueing

# A message must not fit into the socket buffers of the kernel many times, or HWM means little.
SIZE = 200_000
OPTIONS = ["SNDHWM", "RCVHWM", "SNDBUF", "RCVBUF"]
TIGHT = ["SNDHWM=1", "RCVHWM=1", "SNDBUF=32768", "RCVBUF=32768"]


@experiment(
    source="article, 'the next worker is too busy to grab it'; zeromq/pyzmq#96",
    reads=line_formats.read,
    count=60,
    interval=0.02,
    takes=3,
    uses={"push": ["--delay", "--linger", "--size", *OPTIONS], "pull": ["--work", *OPTIONS]},
)
def full_worker(lab: Lab) -> None:
    busy, *others = lab.machines("puller")
    work = SLOWNESS * lab.interval
    lab.start("pull", on=busy, to="pusher", work=work, set=TIGHT)
    lab.start("pull", on=others, to="pusher", set=TIGHT)
    flags = {"size": SIZE, "set": TIGHT, **lab.plan}
    lab.start("push", on="pusher", delay=0.5, linger=-1, **flags).wait()
    lab.settle(quiet=3)  # TCP waits before it asks whether a full buffer has room again


@claim(
    "A busy worker is skipped once its queue is full.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 103-107 (sendpipe); src/pipe.cpp, line 533",
)
def full_one_is_skipped(run: Run) -> Verdict:
    return queueing.busy_one_gets_less(run, run.planned, SLOWNESS)


@claim(
    "A full queue drops nothing: each message arrives exactly once.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, ZMQ_PUSH: 'messages are not discarded'",
    disputed_by="adhdecode: PUSH drops at the mark; sudoricheek/cortex: 'the oldest is evicted'",
)
def nothing_is_dropped(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
