"""The worker binds, the pusher connects, and the worker dies: does the pusher go on sending?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats, pushers


@experiment(
    source="zeromq/libzmq#179 and #130: PUSH that binds blocks, PUSH that connects doesn't",
    reads=line_formats.read,
    interval=0.1,
    takes=4,
    uses={"push": ["--connect", "--linger"], "pull": ["--bind"]},
)
def pusher_connects(lab: Lab) -> None:
    place = lab.machines("puller")[0]
    (worker,) = lab.start("pull", on=place, bind=True)
    pusher = lab.start("push", on="pusher", to=place, connect=True, linger=-1, **lab.plan)
    lab.first([worker], prints=lambda line: line_formats.number(line) >= 7)
    lab.kill(worker)
    lab.more(pusher, lines=5)
    lab.start_again(worker)
    pusher.wait()


@claim(
    "A pusher that connects goes on sending while its only worker is gone.",
    rests_on="libzmq 4.3.5, src/session_base.cpp, lines 541-571 (reconnect keeps the pipe)",
)
def send_goes_on(run: Run) -> Verdict:
    return pushers.sent_while_gone(run)


@claim(
    "What it sent meanwhile waits in its queue, and arrives when the worker is back.",
    rests_on="libzmq 4.3.5, doc/zmq_setsockopt.txt, ZMQ_IMMEDIATE: 'queues will fill'",
)
def it_comes_late(run: Run) -> Verdict:
    return pushers.came_late(run)


@claim(
    "No message is received twice.",
    rests_on="libzmq 4.3.5, src/pipe.cpp: what was read from a pipe is not in it any more",
)
def nothing_comes_twice(run: Run) -> Verdict:
    return leaving.none_comes_twice(run)
