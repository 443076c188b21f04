"""The workers wait, and the pusher makes no pause between its messages: who gets them?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, pushers


@experiment(
    source="zeromq/pyzmq#96: one worker gets everything; SO 12504559",
    reads=line_formats.read,
    interval=0,
    takes=2,
    uses={"push": ["--linger"], "pull": []},
)
def no_pause(lab: Lab) -> None:
    lab.start("pull", on="puller", to="pusher")
    lab.start("push", on="pusher", **lab.plan, linger=-1).wait()


@claim(
    "The first machine to connect gets every message until another one is connected.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 122-123 (sendpipe: with one pipe the turn is its)",
    by_chance=True,
)
def first_gets_all(run: Run) -> Verdict:
    return pushers.first_gets_all(run)


@claim(
    "Each message goes to exactly one worker.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 (sendpipe: written to one pipe)",
)
def each_to_exactly_one(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
