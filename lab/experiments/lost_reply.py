"""REQ/REP: the service dies when the work is done, before its reply. It is back soon: and then?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import replies


@experiment(
    source="the ZeroMQ guide, chapter 4: 'Client-Side Reliability (Lazy Pirate Pattern)'",
    reads=replies.read,
    count=5,
    interval=0.5,
    takes=6,
    uses={"answer": ["--think"], "request": ["--count", "--timeout"]},
)
def lost_reply(lab: Lab) -> None:
    (service,) = lab.start("answer", on="pusher", think=lab.interval)
    machine = lab.machines("puller")[0]
    client = lab.start("request", on=machine, to="pusher", count=lab.count, timeout=2)
    lab.first([service], prints=lambda line: line == "done 2")
    lab.kill(service)
    lab.start_again(service)
    client.wait()


@claim(
    "A request whose reply is lost is not sent again, though the service is back.",
    rests_on="libzmq 4.3.5, src/session_base.cpp, lines 541-575 (reconnect: sent is sent)",
    disputed_by="those who read 'reconnects by itself' as 'asks again by itself'",
)
def not_sent_again(run: Run) -> Verdict:
    return replies.waits_in_vain(run)


@claim(
    "The client can't even ask again: REQ insists on the reply first.",
    rests_on="libzmq 4.3.5, src/req.cpp, lines 32-36 (xsend: EFSM)",
)
def cannot_ask_again(run: Run) -> Verdict:
    return replies.refuses_to_ask(run)


@claim(
    "Asked again on a new socket, the work is done twice.",
    rests_on="the ZeroMQ guide, chapter 4: idempotent services",
)
def work_is_done_twice(run: Run) -> Verdict:
    return replies.done_twice(run)


@claim(
    "In the end, every request gets its reply.",
    rests_on="the ZeroMQ guide, chapter 4: the client closes its socket and asks again",
)
def all_are_answered(run: Run) -> Verdict:
    return replies.all_answered(run)
