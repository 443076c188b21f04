"""The ways to leave and come back, with what each does to messages: the tables behind
`ways_to_leave` and `coming_back`.

A peer that closes its connection is noticed at once, and nothing more is sent to it. (The kernel
closes the connections of a process that ends, and of a machine that shuts down.) A silent peer
keeps getting its turn, see silence.py; if the silence ends in time, TCP has kept its messages.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pushpull.analysis.history import Run
from pushpull.core.faults.fault import Fault
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, SHUT_DOWN
from pushpull.core.faults.network import PARTITION, REJECT
from pushpull.core.verdict import Verdict
from pushpull.engine.processes import Process
from pushpull.engine.scenario import Lab
from pushpull.experiments.judges import silence
from pushpull.experiments.judges.line_formats import number

HEARTBEAT = ("HEARTBEAT_IVL=200", "HEARTBEAT_TIMEOUT=600")
MAXRT = ("TCP_MAXRT=1000",)
AT_ONCE_S = (0.0, 0.0)
NOTICED_S = {
    HEARTBEAT: (0.6, 0.8),  # after the time-out, and at most one interval later
    MAXRT: (1.0, 2.0),  # TCP checks when the next retransmission is due
}


@dataclass(frozen=True, slots=True)
class Way:
    """How the victim leaves, what that needs, what repairs it, and what to expect.

    `fate` is the fate of the messages of the victim's turn: `spared` (others get them), `lost`
    (until the pusher notices, if ever) or `late`.
    """

    leave: Callable[[Lab, Process], None]
    fate: str
    needs: tuple[Fault, ...] = ()
    mend: Callable[[Lab, Process], None] | None = None
    options: tuple[str, ...] = ()

    @property
    def ends_killed(self) -> bool:
        """Whether the silence ends with a kill, by which the connection is closed."""
        return self.mend is Lab.kill

    @property
    def noticed_s(self) -> tuple[float, float] | None:
        """The least and the most seconds until the pusher notices; None if it never does."""
        return AT_ONCE_S if self.fate == "spared" else NOTICED_S.get(self.options)


def noticed(run: Run, way: Way) -> Verdict:
    """The sender noticed when this way to leave says, or never."""
    if way.ends_killed:
        return silence.is_noticed_when_killed(run)
    within_s = way.noticed_s
    return silence.is_noticed_within(run, *within_s) if within_s else silence.is_not_noticed(run)


def _source(lab: Lab) -> str:
    """Return the machine to which the pullers connect."""
    return next((broker.machine for broker in lab.broker), "pusher")


def _apart(lab: Lab, victim: Process) -> None:
    lab.partition([victim.machine], _source(lab))


def _deaf(lab: Lab, victim: Process) -> None:
    lab.partition(_source(lab), [victim.machine], one_way=True)


def _rejecting(lab: Lab, victim: Process) -> None:
    lab.partition([victim.machine], _source(lab), reject=True)


def _heal(lab: Lab, _: Process) -> None:
    lab.heal()


WAYS = {
    "terminate": Way(Lab.terminate, "spared"),
    "interrupt": Way(Lab.interrupt, "spared"),
    "kill": Way(Lab.kill, "spared"),
    "shut_down": Way(Lab.shut_down, "spared", (SHUT_DOWN,)),
    "reject": Way(_rejecting, "spared", (REJECT,)),
    "pause": Way(Lab.pause, "lost"),
    "cut_power": Way(Lab.cut_power, "lost", (CUT_POWER,)),
    "cut_cable": Way(Lab.cut_cable, "lost", (CUT_CABLE,)),
    "partition": Way(_apart, "lost", (PARTITION,)),
    "one_way": Way(_deaf, "lost", (PARTITION,)),
    "pause_kill": Way(Lab.pause, "lost", mend=Lab.kill),
    "pause_resume": Way(Lab.pause, "late", mend=Lab.resume),
    "cut_mend_cable": Way(Lab.cut_cable, "late", (CUT_CABLE,), Lab.mend_cable),
    "partition_heal": Way(_apart, "late", (PARTITION,), _heal),
    "pause_heartbeat": Way(Lab.pause, "lost", options=HEARTBEAT),
    "cut_power_heartbeat": Way(Lab.cut_power, "lost", (CUT_POWER,), options=HEARTBEAT),
    "cut_cable_heartbeat": Way(Lab.cut_cable, "lost", (CUT_CABLE,), options=HEARTBEAT),
    "partition_heartbeat": Way(_apart, "lost", (PARTITION,), options=HEARTBEAT),
    "cut_cable_maxrt": Way(Lab.cut_cable, "lost", (CUT_CABLE,), options=MAXRT),
}


def option_names(options: tuple[str, ...]) -> list[str]:
    """Return the names of socket options, for `@experiment(uses=...)`."""
    return [setting.partition("=")[0] for setting in options]


def play(lab: Lab, way: Way) -> None:
    """Let one puller leave after message 7; repair it, if so planned, at the others' message 14."""
    pullers = lab.start("pull", on="puller", to="pusher")
    pusher = lab.start(
        "push", on="pusher", count=lab.count, interval=lab.interval, set=list(way.options)
    )
    victim = lab.first(pullers, prints=lambda line: number(line) >= 7)
    way.leave(lab, victim)
    if way.mend is not None:
        lab.first(pullers.without(victim), prints=lambda line: number(line) >= 14)
        way.mend(lab, victim)
    pusher.wait()


@dataclass(frozen=True, slots=True)
class Return:
    """How the victim leaves and comes back, and within how many seconds it gets a message again.

    None means never: the pusher learned that the connection is over, but the puller didn't. As it
    only receives, it never finds out, and waits on a connection that no longer exists.
    """

    leave: Callable[[Lab, Process], None]
    back: Callable[[Lab, Process], None]
    within_s: float | None
    needs: tuple[Fault, ...] = ()
    options: tuple[str, ...] = ()


def _switch_on(lab: Lab, victim: Process) -> None:
    lab.power_on(victim)
    lab.start_again(victim)


def _start_again(lab: Lab, victim: Process) -> None:
    lab.start_again(victim)


# Two turns take 0.1 s each, reconnecting 0.1 to 0.2 s, and TCP's back-off has doubled to 0.8 s.
RETURNS = {
    "kill": Return(Lab.kill, _start_again, 0.4),
    "shut_down": Return(Lab.shut_down, _switch_on, 0.4, (SHUT_DOWN,)),
    "cut_power": Return(Lab.cut_power, _switch_on, 0.4, (CUT_POWER,)),
    "reject": Return(_rejecting, _heal, None, (REJECT,)),
    "reject_heartbeat": Return(_rejecting, _heal, 0.7, (REJECT,), HEARTBEAT),
    "pause": Return(Lab.pause, Lab.resume, 0.4),
    "cut_cable": Return(Lab.cut_cable, Lab.mend_cable, 1.7, (CUT_CABLE,)),
    "partition": Return(_apart, _heal, 1.7, (PARTITION,)),
}


def come_back(lab: Lab, how: Return) -> None:
    """Let one puller leave after message 7, and come back after the others' message 20."""
    pullers = lab.start("pull", on="puller", to="pusher", set=list(how.options))
    pusher = lab.start("push", on="pusher", count=lab.count, interval=lab.interval)
    victim = lab.first(pullers, prints=lambda line: number(line) >= 7)
    how.leave(lab, victim)
    lab.first(pullers.without(victim), prints=lambda line: number(line) >= 20)
    how.back(lab, victim)
    pusher.wait()
