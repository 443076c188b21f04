"""PUB/SUB: one subscriber waits for the publisher, another comes midway: what does each get?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import joining, line_formats


@experiment(
    source="the ZeroMQ guide, chapter 1: 'the slow joiner symptom'",
    reads=line_formats.read,
    count=40,
    interval=0.1,
    takes=2,
    machines={"pusher": 1, "puller": 2},
    uses={"publish": [], "subscribe": []},
)
def slow_joiner(lab: Lab) -> None:
    early, late = lab.machines("puller")[:2]
    (first,) = lab.start("subscribe", on=early, to="pusher")
    publisher = lab.start("publish", on="pusher", **lab.plan)
    lab.first([first], prints=lambda line: line_formats.number(line) >= 7)
    (second,) = lab.start("subscribe", on=late, to="pusher")
    publisher.wait()
    for subscriber in (first, second):
        lab.first([subscriber], prints=lambda line: line_formats.number(line) == lab.count - 1)


@claim(
    "Even a subscriber that starts before the publisher misses messages until it is connected.",
    rests_on="libzmq 4.3.5, src/dist.cpp, lines 146-153 (distribute: nobody matches, dropped)",
    by_chance=True,
)
def early_one_misses_the_start(run: Run) -> Verdict:
    return joining.start_is_missed(run)


@claim(
    "A late subscriber never gets what was published before.",
    rests_on="libzmq 4.3.5, src/dist.cpp, lines 144-153 (distribute keeps nothing)",
)
def late_one_never_gets_the_start(run: Run) -> Verdict:
    return joining.start_never_comes(run)


@claim(
    "From its first message on, a subscriber gets every one: each goes to all, not to one.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, ZMQ_PUB: 'in a fan out fashion to all connected'",
)
def then_each_gets_all(run: Run) -> Verdict:
    return joining.all_from_the_first_on(run)
