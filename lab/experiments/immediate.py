"""As absent_worker, with ZMQ_IMMEDIATE: does the worker that is there get everything?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, pushers


@experiment(
    source="libzmq 4.3.5, tests/test_immediate.cpp; sonic-net/sonic-swss-common PR #1059",
    reads=line_formats.read,
    interval=0.05,
    takes=2,
    machines={"pusher": 1, "puller": 2},
    uses={"push": ["--connect", "IMMEDIATE"], "pull": ["--bind"]},
)
def immediate(lab: Lab) -> None:
    present, absent = lab.machines("puller")[:2]
    places = [lab.address(place) for place in (present, absent)]
    lab.start("pull", on=present, bind=True)
    flags = {"set": ["IMMEDIATE=1"], **lab.plan}
    lab.start("push", on="pusher", connect=True, address=places, **flags).wait()
    lab.settle()
    lab.start("pull", on=absent, bind=True)


@claim(
    "With ZMQ_IMMEDIATE only connected workers get messages: the present one gets them all.",
    rests_on="libzmq 4.3.5, doc/zmq_setsockopt.txt, ZMQ_IMMEDIATE; src/socket_base.cpp, line 1067",
)
def present_one_gets_all(run: Run) -> Verdict:
    return pushers.present_gets_all(run)
