"""The pusher starts, and nobody is there to pull: what becomes of its messages?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, pushers


@experiment(
    source="zeromq/libzmq#179, zeromq/pyzmq#1911: a send before any connect hangs",
    reads=line_formats.read,
    interval=0.05,
    takes=3,
)
def no_worker(lab: Lab) -> None:
    pusher = lab.start("push", on="pusher", **lab.plan)
    lab.settle(quiet=1)  # it has printed 0, and then nothing for a second
    lab.start("pull", on="puller", to="pusher")
    pusher.wait()


@claim(
    "Without a worker send blocks: the pusher prints 0 and waits.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 111-114 (sendpipe: no pipe, EAGAIN)",
)
def send_blocks(run: Run) -> Verdict:
    return pushers.blocked_until_one_came(run)


@claim(
    "Nothing is lost: once workers connect, each message goes to one of them.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, ZMQ_PUSH: 'messages are not discarded'",
)
def nothing_is_lost(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
