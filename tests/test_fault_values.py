"""Every fault is one value: its words, its repair, and a check without which it isn't verified."""

import ast
import re
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from broken_lab import Broken
from command import PROJECT
from provider_contract import PARAMETERS

from pushpull.analysis.event_text import EventDescriber
from pushpull.core import clock, faults
from pushpull.core.clock import Clock
from pushpull.core.errors import LabError
from pushpull.core.faults.change import Spot, rules
from pushpull.core.faults.fault import Check, Fault, Scope
from pushpull.core.faults.network import HEAL
from pushpull.core.faults.process import DIE_AT, HOLD, RELEASE, START_AGAIN
from pushpull.core.records import Event
from pushpull.engine.process_faults import AtLine
from pushpull.machines import traffic_rules, wall_clock

# Done in another way than by a signal.
OTHERWISE = (DIE_AT, HOLD, RELEASE, START_AGAIN)
EVERY = list(faults.ALL.values())


class FakeProcess:
    """A process whose launcher says what a test wants it to say."""

    def __init__(self, says: float | None) -> None:
        self.place, self.status, self.ended, self.ended_by = ("pull-1", "pull"), 137, False, ""
        self.says = self.ended_at = says
        self.signals: list[int] = []

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def wait_gone(self, timeout: float) -> float | None:
        return self.says

    def wait_released(self, timeout: float) -> float | None:
        return self.says

    def wait_stopped(self, stopped: bool, timeout: float) -> float | None:
        return self.says


def ids(fault: Fault) -> str:
    return fault.name


def do(lab: Broken, fault: Fault, check: bool | None) -> None:
    """Do a fault in a lab in which its check says so; None: in which it can't be made."""
    if fault.scope is Scope.PROCESS:
        process: Any = FakeProcess(clock.now() + 1 if check else None)
        if fault == DIE_AT:
            process.status = 137 if check else 1
            lab.faults.processes.killed_itself(process, 0.0)
        elif fault == HOLD:
            late = AtLine(7, "", lambda: 7 if check else 9)
            lab.faults.processes.note_held(process, late)
        elif fault == RELEASE:
            lab.faults.processes.note_released(process, 0.0)
        elif fault == START_AGAIN:  # it is ready, or an error was raised before
            lab.faults.processes.started_again(process, 0.0)
        else:
            lab.faults.processes.inject(fault, process)
            assert process.signals == [fault.signal]
    elif fault == HEAL:
        lab.passes = lambda sender, receiver: False
        lab.lab.partition("pull-1", "push")
        lab.events.clear()
        lab.passes = lambda sender, receiver: bool(check)
        lab.faults.network.heal(check=check is not None)
    else:
        others = "push" if fault.between else None
        lab.lab.inject(fault, "pull-1", others=others, **PARAMETERS.get(fault.name, {}))


def the_check_says(
    lab: Broken, monkeypatch: pytest.MonkeyPatch, fault: Fault, says: bool | None
) -> None:
    """Let what the checks of machines and networks ask answer in favour of a fault, or not."""
    if says is None:

        def refuse(*_: object) -> bool:
            raise LabError("no machine answers")

        for name in ("reached", "is_there", "is_queued", "counters"):
            monkeypatch.setattr(traffic_rules, name, refuse)
        monkeypatch.setattr(wall_clock, "measure", refuse)
        return
    through = says is (fault.check is Check.PLUGGED_IN)
    lab.passes = lambda sender, receiver: through
    lab.silent = {"pull-1"} if says else set()
    monkeypatch.setattr(traffic_rules, "is_queued", lambda *_: says)
    monkeypatch.setattr(traffic_rules, "counters", lambda *_: {"seen_sent": 0} if says else {})
    told = time.time() - clock.now() if says else 1.0
    monkeypatch.setattr(wall_clock, "measure", lambda *_: Clock(offset_s=told))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Broken:
    made = Broken(monkeypatch, "push", "pull-1")
    made.manager.readmit = lambda machine: None
    monkeypatch.setattr(traffic_rules, "link_of", lambda remote: "eth0")
    return made


@pytest.mark.parametrize("fault", EVERY, ids=ids)
def test_a_fault_is_verified_where_its_check_says_so(
    lab: Broken, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    the_check_says(lab, monkeypatch, fault, True)
    do(lab, fault, True)
    (event,) = lab.events
    assert (event.event, event.details[fault.kind]) == (fault.kind, fault.name)
    assert event.details["verified"] is (None if fault.check is None else True)


@pytest.mark.parametrize(
    "fault",
    # These are only ever noted when their check has said so; else a LabError ends the scenario.
    [fault for fault in EVERY if fault.check not in (None, Check.READY, Check.BACK)],
    ids=ids,
)
def test_a_fault_is_not_verified_where_its_check_contradicts(
    lab: Broken, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    the_check_says(lab, monkeypatch, fault, False)
    if fault.check is Check.APART:
        with pytest.raises(LabError, match="isn't as it was to be"):
            do(lab, fault, False)
        assert lab.events == []
        return
    do(lab, fault, False)
    assert lab.verified() == [False]


@pytest.mark.parametrize(
    "fault", [fault for fault in EVERY if fault.scope is not Scope.PROCESS], ids=ids
)
def test_a_fault_whose_check_cannot_be_made_is_verified_null(
    lab: Broken, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    if fault.check is Check.BACK:

        def off(machine: str) -> None:
            raise LabError("it doesn't answer")

        lab.manager.readmit = off
        with pytest.raises(LabError, match="doesn't answer"):
            do(lab, fault, None)
        assert lab.events == []
        return
    if fault != HEAL:
        the_check_says(lab, monkeypatch, fault, None)
    do(lab, fault, None)
    assert lab.verified() == [None]


@pytest.mark.parametrize("fault", [f for f in EVERY if f not in (*OTHERWISE, HEAL)], ids=ids)
def test_a_fault_without_a_check_is_verified_null(lab: Broken, fault: Fault) -> None:
    do(lab, replace(fault, check=None), True)
    assert lab.verified() == [None]


def test_names_are_unique_and_none_is_forgotten() -> None:
    modules = (faults.process, faults.machine, faults.network, faults.clock)
    there = [v for module in modules for v in vars(module).values() if isinstance(v, Fault)]
    assert sorted(fault.name for fault in there) == sorted(faults.ALL)


@pytest.mark.parametrize("fault", EVERY, ids=ids)
def test_a_fault_has_words_and_what_its_scope_needs(fault: Fault) -> None:
    assert re.fullmatch(r"[a-z][a-z, ]+", fault.words)
    if fault.kind == "repair":
        assert fault.repair is None
        assert fault in {other.repair for other in EVERY}
        return
    assert fault.repair is not None
    assert (fault.repair.kind, fault.repair.scope) == ("repair", fault.scope)
    if fault.scope is Scope.NETWORK:
        assert fault.change is not None
        assert fault.trial is not None


@pytest.mark.parametrize("fault", EVERY, ids=ids)
def test_screens_and_pages_say_a_faults_words(fault: Fault) -> None:
    details = {fault.kind: fault.name, "verified": True}
    event = Event(t=1.0, event=fault.kind, machine="pull-1", process="", details=details)
    assert EventDescriber().describe(event) == f"pull-1 {fault.words}"


def test_a_fault_of_another_version_is_shown_by_its_name() -> None:
    details = {"fault": "melt", "verified": True}
    event = Event(t=1.0, event="fault", machine="pull-1", process="", details=details)
    assert EventDescriber().describe(event) == "pull-1 was hit by 'melt'"


@pytest.mark.parametrize("fault", EVERY, ids=ids)
def test_the_docs_have_each_fault_and_its_check(fault: Fault) -> None:
    page = (PROJECT / "docs" / "faults.md").read_text()
    assert f"`{fault.name}`" in page
    if fault.check is not None:
        (line,) = [line for line in page.splitlines() if line.endswith(f"| {fault.check.value} |")]
        assert f"`{fault.name}`" in line


@pytest.mark.slow
def test_no_other_file_of_the_rooms_below_the_experiments_spells_a_fault() -> None:
    """The launcher calls `kill`, which is a command of the machine's."""
    rooms = ("api.py", "analysis", "cli", "core", "engine", "machines", "report", "runs")
    files = [f for room in rooms for f in sorted((PROJECT / "lab").glob(f"{room}/**/*.py"))]
    assert files
    spelled = [
        (str(file.relative_to(PROJECT)), node.value)
        for file in files
        if file.parent.name not in ("faults", "agent")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in faults.ALL
    ]
    assert spelled == []


def test_a_new_fault_of_a_process_is_one_value(
    lab: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang_up = Fault(
        name="hang_up", scope=Scope.PROCESS, words="was hung up", check=Check.ENDED, signal=1
    )
    monkeypatch.setattr(faults, "ALL", {**faults.ALL, "hang_up": hang_up})
    do(lab, faults.named("hang_up"), True)
    assert lab.verified() == [True]
    assert EventDescriber().describe(lab.events[0]) == "pull on pull-1 was hung up"


def test_a_new_fault_of_the_network_is_one_value(
    lab: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[str] = []

    def hold(remote: object, folder: str, change: Any) -> Any:
        orders.append(change.input)
        return SimpleNamespace(at=clock.Moment(clock.now()), release=lambda: orders.append("undo"))

    def lose(spot: Spot, *, every: int) -> Any:
        return rules(f"chain input {{ numgen inc mod {every} 0 drop }}")

    monkeypatch.setattr(traffic_rules, "hold", hold)
    fault = Fault(
        name="lose", scope=Scope.NETWORK, words="loses packets", check=None, repair=HEAL,
        change=lose,
    )  # fmt: skip
    monkeypatch.setattr(faults, "ALL", {**faults.ALL, "lose": fault})
    lab.lab.inject("lose", "pull-1", every=10)
    lab.lab.heal()
    assert "numgen inc mod 10 0 drop" in orders[0]
    assert orders[1:] == ["undo"]
    assert [(e.event, e.details.get("every"), e.details["verified"]) for e in lab.events] == [
        ("fault", 10, None),
        ("repair", None, None),
    ]


def test_what_cannot_be_injected_is_said() -> None:
    with pytest.raises(LabError, match="no fault 'cutpower'") as refused:
        faults.named("cutpower")
    assert "did you mean 'cut_power'?" in str(refused.value)


@pytest.mark.parametrize("fault", OTHERWISE, ids=ids)
def test_what_a_program_does_itself_is_not_injected(lab: Broken, fault: Fault) -> None:
    process: Any = FakeProcess(None)
    with pytest.raises(LabError, match="is not a signal"):
        lab.faults.processes.inject(fault, process)


def test_a_partition_needs_machines_on_both_sides(lab: Broken) -> None:
    with pytest.raises(LabError, match="both sides"):
        lab.lab.partition("pull-1", [])
    with pytest.raises(LabError, match="not between machines"):
        lab.lab.inject("rate", "pull-1", others="push", kbit=100)
    with pytest.raises(LabError, match=r"lab\.heal"):
        lab.lab.inject(HEAL, "pull-1")
    assert lab.events == []


def test_machines_are_repaired_once_the_last_first(lab: Broken) -> None:
    lab.lab.cut_cable("push")
    lab.lab.cut_power("pull-1")
    lab.lab.shut_down("pull-1")
    lab.machines.done.clear()
    lab.faults.undo()
    assert lab.machines.done == [("power_on", "pull-1"), ("mend_cable", "push")]
    lab.faults.undo()
    assert len(lab.machines.done) == 2


def test_an_event_has_the_parameters_of_its_fault_and_the_time_since_its_trigger(
    lab: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic_rules, "is_queued", lambda *_: True)
    lab.passes = lambda sender, receiver: receiver == "push"
    lab.lab.slow("pull-1", loss_percent=5)
    trigger: Any = SimpleNamespace(t=clock.now())
    lab.faults.log.trigger = trigger
    lab.lab.partition("push", "pull-1", one_way=True)
    slow, apart = (event.details for event in lab.events)
    assert list(slow) == ["fault", "delay_ms", "jitter_ms", "loss_percent", "verified", "took_s"]
    assert slow["loss_percent"] == 5
    assert (apart["from"], apart["one_way"]) == (["pull-1"], True)
    assert 0 <= apart["trigger_to_effect_s"] < 60


def test_a_mended_cable_is_looked_at_until_arp_has_asked_again(lab: Broken) -> None:
    answers = iter([False, False, True])
    lab.passes = lambda sender, receiver: next(answers)
    lab.lab.mend_cable("pull-1")
    assert lab.verified() == [True]
    assert next(answers, None) is None
