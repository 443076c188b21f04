"""A pusher leaves right after its last send, while a slow worker has most to come: what is lost?"""

from pushpull.api import Lab, Outcome, Run, Verdict, claim, experiment
from pushpull.experiments.judges import exits, line_formats

SMALL_BUFFERS = ["SNDBUF=65536", "RCVBUF=65536"]  # else the kernel has all, and nothing is left
WORK = 0.02  # seconds, so that half a second is not enough for all of them

BUFFERS = ["SNDBUF", "RCVBUF"]


@experiment(
    source="zeromq/pyzmq#404, #1934, #1671; zeromq/libzmq#1922, #3774",
    reads=line_formats.read,
    count=50,
    interval=0,
    takes=12,
    uses={"leave": ["--first", "--way", *BUFFERS], "pull": ["--work", "RCVHWM", *BUFFERS]},
)
def last_messages(lab: Lab) -> None:
    slow = ["RCVHWM=1", *SMALL_BUFFERS]
    lab.start("pull", on=lab.machines("puller")[0], to="pusher", work=WORK, set=slow)
    for k, way in enumerate(exits.WAYS):
        flags = {"first": k * lab.count, "set": SMALL_BUFFERS, **lab.plan}
        lab.start("leave", on="pusher", way=way, **flags).wait()
        lab.settle()


@claim(
    "close() and term() with the default LINGER of -1 wait until every message is out.",
    rests_on=exits.LINGER,
)
def close_and_term_lose_nothing(run: Run) -> Verdict:
    return exits.none_lost(run, "close")


@claim(
    "A script that just ends, without close() or term(), loses nothing.",
    source="the article's own program ends so; many examples do",
    expected=Outcome.REFUTED,
    because="pyzmq leaves a context alone when Python exits, and what is not out goes with it",
    rests_on="pyzmq 27.3.0, zmq/sugar/context.py, lines 29-34 and 130 (_notice_atexit, __del__)",
)
def exit_loses_nothing(run: Run) -> Verdict:
    return exits.none_lost(run, "exit")


@claim("With LINGER=500, what is not out half a second later is lost.", rests_on=exits.LINGER)
def linger_loses_the_rest(run: Run) -> Verdict:
    return exits.some_lost(run, "linger")


@claim("With LINGER=0, close() discards what is not out.", rests_on=exits.LINGER)
def no_linger_loses_them(run: Run) -> Verdict:
    return exits.some_lost(run, "drop")


@claim("An unhandled SIGTERM loses them, as SIGKILL does.", rests_on="signal(7), default action")
def signals_lose_them(run: Run) -> Verdict:
    return exits.some_lost(run, "sigterm")
