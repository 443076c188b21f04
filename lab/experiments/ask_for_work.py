"""The work of busy_worker, done twice: dealt in turns by PUSH, then handed out on request."""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.busy_worker import SLOWNESS
from pushpull.experiments.judges import line_formats, queueing


@experiment(
    source="what projects do that leave PUSH/PULL: spotify/pythonflow PR #23, zeromq/netmq#946",
    reads=line_formats.read,
    count=60,
    interval=0.02,
    takes=6,
    uses={"push": [], "pull": ["--work"], "foreman": ["--first"], "worker": ["--work"]},
)
def ask_for_work(lab: Lab) -> None:
    busy, *others = lab.machines("puller")
    work = SLOWNESS * lab.interval
    lab.start("pull", on=busy, to="pusher", work=work)
    lab.start("pull", on=others, to="pusher")
    lab.start("push", on="pusher", **lab.plan).wait()
    lab.settle(quiet=3 * work)

    address = lab.address("pusher", port=1235)
    lab.start("worker", on=busy, address=address, work=work)
    lab.start("worker", on=others, address=address)
    lab.start("foreman", on="pusher", address=address, first=lab.count, **lab.plan).wait()
    lab.settle(quiet=3 * work)


@claim(
    "Work on request goes to idle workers: the busy one gets less.",
    rests_on="the ZeroMQ guide, chapter 3, 'ROUTER Broker and REQ Workers'",
)
def busy_one_gets_less(run: Run) -> Verdict:
    second = range(len(run.planned), 2 * len(run.planned))
    return queueing.busy_one_gets_less(run, second, SLOWNESS)


@claim(
    "On request, the same work is done sooner than in turns.",
    rests_on="the ZeroMQ guide, chapter 3, 'The Load Balancing Pattern'",
    disputed_by="adhdecode: PUSH balances by availability (then there would be no difference)",
    timed=True,
)
def done_sooner(run: Run) -> Verdict:
    return queueing.sooner_when_asked_for(run, SLOWNESS)


@claim(
    "Either way, each message goes to exactly one worker.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76; doc/zmq_socket.txt, ZMQ_ROUTER",
)
def each_to_exactly_one(run: Run) -> Verdict:
    return history.exactly_once(run, range(2 * len(run.planned)))
