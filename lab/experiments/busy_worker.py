"""One of the workers is too busy to keep up: does it get less, and where does the rest wait?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, queueing

SLOWNESS = 5  # the work per message, in intervals; each of two machines gets one every two


@experiment(
    source="article, 'the next worker is too busy to grab it'",
    reads=line_formats.read,
    count=60,
    interval=0.02,
    takes=3,
    uses={"push": [], "pull": ["--work"]},
)
def busy_worker(lab: Lab) -> None:
    busy, *others = lab.machines("puller")
    work = SLOWNESS * lab.interval
    lab.start("pull", on=busy, to="pusher", work=work)
    lab.start("pull", on=others, to="pusher")
    lab.start("push", on="pusher", **lab.plan).wait()
    lab.settle(quiet=3 * work)


@claim(
    "PUSH goes by turns, not by idleness: a busy worker gets as many as an idle one.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 and 122-123 (sendpipe)",
    disputed_by="adhdecode: PUSH balances by availability; expected so in tsee/ZeroMQ-Perl#10",
)
def busy_one_gets_as_many(run: Run) -> Verdict:
    return queueing.dealt_alike(run)


@claim(
    "Messages wait at the busy worker and stay there, though others are idle.",
    rests_on="libzmq 4.3.5, src/lb.cpp, line 72 (sendpipe: a message is written to one pipe)",
    timed=True,
)
def messages_wait_at_the_busy_one(run: Run) -> Verdict:
    return queueing.waits_at_the_busy_one(run, SLOWNESS)


@claim(
    "The work is finished only when the busy worker has done its share.",
    source="zeromq/netmq#946, hove-io/navitia#348: 'long tasks pile up behind one worker'",
    timed=True,
)
def done_when_the_busy_one_is(run: Run) -> Verdict:
    return queueing.done_when_the_busy_one_is(run, SLOWNESS)


@claim(
    "Each message goes to exactly one worker.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 71-76 (sendpipe: written to one pipe)",
)
def each_to_exactly_one(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)
