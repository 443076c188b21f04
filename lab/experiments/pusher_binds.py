"""The pusher binds, as in the article, and its only worker dies: does it go on sending?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats, pushers


@experiment(
    source="zeromq/libzmq#179 and #130: PUSH that binds blocks, PUSH that connects doesn't",
    reads=line_formats.read,
    interval=0.1,
    takes=4,
)
def pusher_binds(lab: Lab) -> None:
    (worker,) = lab.start("pull", on=lab.machines("puller")[:1], to="pusher")
    pusher = lab.start("push", on="pusher", **lab.plan)
    lab.first([worker], prints=lambda line: line_formats.number(line) >= 7)
    lab.kill(worker)
    lab.more(pusher, lines=1)
    lab.settle(quiet=1)  # for a second nobody prints anything more
    lab.start_again(worker)
    pusher.wait()


@claim(
    "While its only worker is gone, a pusher that binds is blocked: nothing is queued.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 24-42 and 111-114 (no pipe is left, so EAGAIN)",
)
def send_blocks(run: Run) -> Verdict:
    return pushers.blocked_while_gone(run)


@claim(
    "It continues by itself when the worker is back, and loses nothing that it sends after the"
    " kill.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, ZMQ_PUSH: 'messages are not discarded'",
    disputed_by="zeromq/netmq#890, zeromq/zeromq.js#383: 'never receives again'",
)
def nothing_sent_later_is_lost(run: Run) -> Verdict:
    return leaving.none_is_lost(run, leaving.after_the_fault(run))
