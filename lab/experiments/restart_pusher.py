"""The pusher is killed midway, and another one starts in its place: do the workers come back?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, pushers


@experiment(
    source="article, 'getting back connections so you do not have to', for the pusher's side",
    reads=line_formats.read,
    interval=0.1,
    takes=4,
)
def restart_pusher(lab: Lab) -> None:
    lab.start("pull", on="puller", to="pusher")
    pusher = lab.start("push", on="pusher", **lab.plan)
    lab.first(pusher, prints=lambda line: line_formats.number(line) >= 7)
    lab.kill(pusher)
    lab.start("push", on="pusher", first=lab.count, **lab.plan).wait()


@claim(
    "The workers reconnect by themselves, and share the new pusher's messages.",
    rests_on="libzmq 4.3.5, src/session_base.cpp, lines 541-575 (reconnect)",
)
def workers_come_back(run: Run) -> Verdict:
    return pushers.shared_by_all(run, pushers.of_the_second(run))


@claim(
    "Nothing that the new pusher sends is lost or arrives twice.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, ZMQ_PUSH",
)
def nothing_is_lost(run: Run) -> Verdict:
    return pushers.once_each(run, pushers.of_the_second(run))
