"""The pusher waits for a second after it has bound, before its first message: is there a pair?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, pushers


@experiment(
    source="the ZeroMQ guide, chapter 2: 'the late joiner'; the fix is to wait for all",
    reads=line_formats.read,
    interval=0.05,
    takes=2,
    uses={"push": ["--delay"], "pull": []},
)
def patient_pusher(lab: Lab) -> None:
    lab.start("pull", on="puller", to="pusher")
    lab.start("push", on="pusher", delay=1, **lab.plan).wait()


@claim(
    "When all are connected before message 0, the turn is strict from the first message on.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 122-123 (sendpipe)",
    by_chance=True,
)
def strict_from_the_first(run: Run) -> Verdict:
    return pushers.strict_from_the_first(run)


@claim(
    "Each message goes to exactly one worker.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 (sendpipe: written to one pipe)",
)
def each_to_exactly_one(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
