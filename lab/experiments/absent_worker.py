"""The pusher connects to two workers, and one of them isn't there: where do its messages go?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, pushers


@experiment(
    source="sonic-net/sonic-swss-common PR #1059: messages get stuck for one that isn't there",
    reads=line_formats.read,
    interval=0.05,
    takes=3,
    machines={"pusher": 1, "puller": 2},
    uses={"push": ["--connect", "--linger"], "pull": ["--bind"]},
)
def absent_worker(lab: Lab) -> None:
    present, absent = lab.machines("puller")[:2]
    places = [lab.address(place) for place in (present, absent)]
    lab.start("pull", on=present, bind=True)
    pusher = lab.start("push", on="pusher", connect=True, address=places, linger=-1, **lab.plan)
    lab.first(pusher, prints=lambda line: line_formats.number(line) == lab.count - 1)
    lab.settle()
    lab.start("pull", on=absent, bind=True)
    pusher.wait()


@claim(
    "A pusher that connects sends to an absent worker just as to a present one.",
    rests_on="libzmq 4.3.5, src/socket_base.cpp, lines 1067-1086 (connect attaches a pipe at once)",
)
def absent_one_is_dealt_to(run: Run) -> Verdict:
    return pushers.absent_is_dealt_to(run)


@claim(
    "Those messages wait, and arrive once the worker is there.",
    rests_on="libzmq 4.3.5, doc/zmq_setsockopt.txt, ZMQ_IMMEDIATE: 'queues will fill'",
)
def they_wait(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
