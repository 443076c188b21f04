"""A worker stops receiving: how many messages does send accept before it blocks?"""

from pushpull.api import Lab, Outcome, Run, Verdict, claim, experiment
from pushpull.experiments.judges import queueing

SMALL, LARGE = 20, 100_000  # bytes
TRIALS = [(1, SMALL, []), (1, LARGE, []), (1, LARGE, ["SNDBUF=4096", "RCVBUF=4096"])]

BUFFERS = ["SNDBUF", "RCVBUF"]


@experiment(
    source="zeromq/libzmq#4529, zeromq/pyzmq#96: is HWM respected?",
    count=1,
    takes=8,
    uses={"fill": ["--size", "SNDHWM", *BUFFERS], "pull": ["--work", "RCVHWM", *BUFFERS]},
)
def high_water_mark(lab: Lab) -> None:
    stuck = lab.machines("puller")[0]
    for mark, size, buffers in TRIALS:
        worker = lab.start(
            "pull", on=stuck, to="pusher", work=3600, set=[f"RCVHWM={mark}", *buffers]
        )
        lab.start("fill", on="pusher", size=size, set=[f"SNDHWM={mark}", *buffers]).wait()
        lab.end(worker)


@claim(
    "With a high-water mark of n at both ends, at most 2n messages wait for a worker.",
    expected=Outcome.REFUTED,
    because="the kernel's socket buffers hold more, and count bytes",
    rests_on="libzmq 4.3.5, doc/zmq_tcp.txt, HWM: 'much more than 100 messages'",
    disputed_by="the expectation in zeromq/pyzmq#96 and zeromq/libzmq#4529",
)
def mark_is_a_limit(run: Run) -> Verdict:
    return queueing.within_the_mark(run)


@claim(
    "Beyond the mark, bytes count, not messages: fewer large ones are accepted.",
    rests_on="libzmq 4.3.5, doc/zmq_tcp.txt, HWM: 'measured in bytes and not messages'",
)
def larger_are_fewer(run: Run) -> Verdict:
    return queueing.fewer_accepted(run, than=0, trial=1)


@claim(
    "With small socket buffers, even fewer are accepted.",
    rests_on="libzmq 4.3.5, doc/zmq_setsockopt.txt, ZMQ_SNDBUF and ZMQ_RCVBUF",
)
def smaller_buffers_hold_fewer(run: Run) -> Verdict:
    return queueing.fewer_accepted(run, than=1, trial=2)
