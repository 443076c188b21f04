"""A pipeline: a ventilator deals, workers do, a sink collects. Does all arrive, and in order?"""

from pushpull.api import Lab, Outcome, Run, Verdict, claim, experiment
from pushpull.experiments.judges import collecting

SLOW, FAST = 4, 1  # the work on a message, in intervals


@experiment(
    source="the ZeroMQ guide, chapter 1: 'Divide and Conquer'",
    reads=collecting.read,
    count=40,
    interval=0.05,
    takes=3,
    uses={"push": [], "step": ["--sink", "--work"], "pull": ["--bind"]},
)
def pipeline(lab: Lab) -> None:
    sink_address = lab.address("pusher", port=1235)
    lab.start("pull", on="pusher", bind=True, address=sink_address)
    for k, machine in enumerate(lab.machines("puller")):
        work = (FAST if k else SLOW) * lab.interval
        lab.start("step", on=machine, to="pusher", sink=sink_address, work=work)
    lab.start("push", on="pusher", **lab.plan).wait()
    lab.settle(quiet=1)


@claim(
    "Each message reaches the sink exactly once.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, 'Pipeline pattern'",
)
def each_arrives_once(run: Run) -> Verdict:
    return collecting.each_arrives_once(run)


@claim(
    "Every worker takes part.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, ZMQ_PUSH: 'Messages are round-robined'",
)
def all_workers_take_part(run: Run) -> Verdict:
    return collecting.all_take_part(run)


@claim(
    "They arrive in the order in which they were sent.",
    source="what one expects of a queue",
    expected=Outcome.REFUTED,
    because="each worker keeps its order, but a slow one falls behind the others",
    rests_on="libzmq 4.3.5, src/fq.cpp, lines 58-75 (recvpipe: whoever has one)",
)
def order_is_kept(run: Run) -> Verdict:
    return collecting.in_order(run)
