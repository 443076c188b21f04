"""The broker between is killed and started again: is anything lost that it had acknowledged?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import brokers, line_formats


@experiment(
    source="jepsen.io/analyses: what a queue acknowledges, it must keep",
    reads=line_formats.read,
    interval=0.1,
    takes=8,
    variants=("at_work", "waiting"),
    uses={
        "at_work": {"push": [], "pull": ["--work"], "broker": []},
        "waiting": {"push": [], "pull": ["--work"], "broker": ["stores"]},
    },
)
def restart_broker(lab: Lab) -> None:
    """Kill it while messages wait there: for busy workers, or for workers that come later."""
    work = 4 * lab.interval
    if lab.variant == "at_work":
        lab.start("pull", on="puller", to="pusher", work=work)
    pusher = lab.start("push", on="pusher", **lab.plan)
    lab.first(pusher, prints=lambda line: line_formats.number(line) >= 7)
    lab.let_pass(lab.interval / 2)  # until it is acknowledged: the sender repeats what isn't
    lab.kill(lab.broker)
    lab.start_again(lab.broker)
    if lab.variant == "waiting":
        lab.start("pull", on="puller", to="pusher", work=work)
    pusher.wait()


@claim("What the broker acknowledged before it was killed is not lost.")
def acknowledged_is_kept(run: Run) -> Verdict:
    return brokers.acknowledged_before_the_kill_arrive(run)


@claim("Messages go through again when it is back; sender and workers reconnect by themselves.")
def goes_on(run: Run) -> Verdict:
    return brokers.sent_after_the_restart_arrive(run)


@claim("No message is received twice.")
def nothing_comes_twice(run: Run) -> Verdict:
    return history.never_twice(run)
