"""Two pushers, and workers that are connected to both: who gets which messages?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, pushers


@experiment(
    source="the question after the article's: what if there are two foremen?",
    reads=line_formats.read,
    interval=0.05,
    takes=2,
)
def two_pushers(lab: Lab) -> None:
    addresses = [lab.address("pusher", port=port) for port in (1234, 1235)]
    lab.start("pull", on="puller", address=addresses)
    one = lab.start("push", on="pusher", address=addresses[0], **lab.plan)
    lab.start("push", on="pusher", address=addresses[1], first=lab.count, **lab.plan).wait()
    one.wait()


@claim(
    "Each pusher has its own turn, as if the other one did not exist.",
    rests_on="libzmq 4.3.5, src/push.cpp, line 32: each socket has a load balancer of its own",
)
def each_has_its_own_turn(run: Run) -> Verdict:
    return pushers.turns_of_each(run)


@claim(
    "Each worker receives from both.",
    rests_on="libzmq 4.3.5, src/fq.cpp, lines 58-75 (recvpipe: fair-queued)",
)
def each_worker_takes_from_both(run: Run) -> Verdict:
    return pushers.all_take_from_both(run)


@claim(
    "Each message of either goes to exactly one worker.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 (sendpipe: written to one pipe)",
)
def each_to_exactly_one(run: Run) -> Verdict:
    return pushers.once_each(run, range(2 * len(run.planned)))
