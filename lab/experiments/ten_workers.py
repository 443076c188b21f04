"""Ten workers join one after another: in which order do they take turns?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import connecting, line_formats, turns


@experiment(
    source="article, 'Think of your machines as the workers, let's say there are 10'",
    reads=line_formats.read,
    count=200,
    interval=0.04,
    takes=5,
)
def ten_workers(lab: Lab) -> None:
    pusher = lab.start("push", on="pusher", **lab.plan)
    turns.one_after_another(lab, 10)
    pusher.wait()


@claim(
    "Workers take turns in the order in which they connected; a newcomer joins at the end.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 18-22 and 44-49 (attach, activated)",
)
def turn_is_the_order_of_connection(run: Run) -> Verdict:
    return turns.follow(run, turns.last_takes_its_place)


@claim(
    "The first, alone for k messages, gets k + 1 in a row.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 122-123 (sendpipe)",
    disputed_by="the article: 'probably because the second machine has not yet connected'",
    by_chance=True,
)
def alone_for_k_gets_one_more(run: Run) -> Verdict:
    return connecting.one_more_than_alone(run)


@claim(
    "Once all are there, each gets as many messages as any other, give or take one.",
    rests_on="libzmq 4.3.5, doc/zmq_socket.txt, ZMQ_PUSH: 'Messages are round-robined'",
)
def shares_are_equal(run: Run) -> Verdict:
    return turns.equal_shares(run)


@claim(
    "Each message goes to exactly one worker.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 (sendpipe)",
)
def each_to_exactly_one(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
