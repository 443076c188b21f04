"""A fault counts as verified only if a check says so; and how late the lab itself was."""

from types import SimpleNamespace
from typing import Any

import pytest
from broken_lab import Broken

from pushpull.core.errors import LabError
from pushpull.core.faults.change import Spot
from pushpull.core.faults.network import rate, slowness
from pushpull.engine.disturbance import Clocks, Lateness, description
from pushpull.machines import traffic_rules


@pytest.mark.parametrize(("passes", "verified"), [(False, True), (True, False)])
def test_a_cut_cable_is_verified_by_another_machine(
    monkeypatch: pytest.MonkeyPatch, passes: bool, verified: bool
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1")
    lab.passes = lambda sender, receiver: passes
    lab.lab.cut_cable("pull-1")
    lab.lab.mend_cable("pull-1")
    assert lab.machines.done == [("cut_cable", "pull-1"), ("mend_cable", "pull-1")]
    assert lab.verified() == [verified, not verified]


def test_in_a_lab_of_one_machine_nothing_verifies_a_cut_cable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Broken(monkeypatch, "pull-1")
    lab.lab.cut_cable("pull-1")
    assert lab.verified() == [None]


def test_a_machine_that_is_off_itself_verifies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Broken(monkeypatch, "pull-1", "pull-2")
    lab.silent = {"pull-1", "pull-2"}
    lab.lab.cut_power("pull-1")
    lab.lab.cut_power("pull-2")
    assert lab.verified() == [True, None]


@pytest.mark.parametrize("hole", [("pull-2", "push"), ("push", "pull-1"), ("pull-3", "push")])
def test_each_pair_of_a_partition_is_tried_both_ways(
    monkeypatch: pytest.MonkeyPatch, hole: tuple[str, str]
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1", "pull-2", "pull-3")
    lab.passes = lambda sender, receiver: (sender, receiver) == hole
    with pytest.raises(LabError, match="isn't as it was to be"):
        lab.lab.partition(["pull-1", "pull-2", "pull-3"], "push")
    lab.passes = lambda sender, receiver: False
    lab.lab.partition(["pull-1", "pull-2", "pull-3"], "push")
    assert lab.verified() == [True, True, True]


def test_a_partition_one_way_lets_all_through_the_other_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1", "pull-2")
    lab.passes = lambda sender, receiver: receiver == "push"
    lab.lab.partition("push", ["pull-1", "pull-2"], one_way=True)
    lab.faults.network.heal(check=False)
    lab.passes = lambda sender, receiver: (sender, receiver) == ("pull-1", "push")
    with pytest.raises(LabError, match="isn't as it was to be"):
        lab.lab.partition("push", ["pull-1", "pull-2"], one_way=True)


def test_a_heal_is_verified_when_all_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Broken(monkeypatch, "push", "pull-1", "pull-2")
    lab.passes = lambda sender, receiver: False
    lab.lab.partition(["pull-1", "pull-2"], "push")
    lab.events.clear()
    lab.passes = lambda sender, receiver: "pull-2" not in (sender, receiver)
    lab.lab.heal()
    assert [(e.machine, e.details["verified"]) for e in lab.events] == [
        ("pull-2", False),
        ("pull-1", True),
    ]


def test_the_final_cleanup_is_not_called_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1")
    lab.passes = lambda sender, receiver: False
    lab.lab.partition(["pull-1"], "push")
    lab.events.clear()
    lab.faults.network.heal(check=False)
    assert lab.verified() == [None]


@pytest.mark.parametrize(
    ("listed", "verified"),
    [
        ("qdisc netem 8001: root refcnt 2 limit 1000 delay 20ms\n", True),
        ("qdisc noqueue 0: root refcnt 2\n", False),
        ("qdisc netem 8001: parent 1:1 limit 1000 delay 20ms\n", False),
        ("qdisc tbf 8001: root refcnt 2 rate 1Mbit\n", False),
        (None, None),
    ],
)
def test_a_slow_link_is_verified_by_the_kernels_list(
    monkeypatch: pytest.MonkeyPatch, listed: str | None, verified: bool | None
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1")

    def run(argv: list[str]) -> bytes:
        if "addr" in argv:
            return b"2: eth0 inet 192.168.0.162/24"
        if listed is None:
            raise LabError("gone")
        return listed.encode()

    lab.machines.remotes["pull-1"].run = run
    lab.lab.slow("pull-1", delay_ms=20)
    assert lab.verified() == [verified]


def test_a_queue_is_found_for_its_own_kind_only() -> None:
    eth0 = Spot(lambda: "eth0")
    change = rate(eth0, kbit=50)
    remote: Any = SimpleNamespace(run=lambda argv: b"qdisc tbf 8001: root refcnt 2 rate 50Kbit\n")
    assert traffic_rules.is_queued(remote, change)
    slow = slowness(eth0, delay_ms=1, jitter_ms=0, loss_percent=0)
    assert not traffic_rules.is_queued(remote, slow)


# --- How late we were. ----------------------------------------------------------------------------


class Clock:
    """Clocks that stand until they are moved; `asleep` moves the one that counts a suspension."""

    def __init__(self) -> None:
        self.awake = self.asleep = 100.0
        self.clocks = Clocks(awake=lambda: self.awake, boot=lambda: self.asleep)

    def run(self, seconds: float) -> None:
        self.awake += seconds
        self.asleep += seconds


def test_the_worst_lateness_is_kept_including_this_moment() -> None:
    clock = Clock()
    lateness = Lateness(clock.clocks)
    clock.run(0.05)
    assert lateness.worst_s() == pytest.approx(0.0)
    clock.run(36.0)
    assert lateness.worst_s() == pytest.approx(36.0)  # whoever asks first after a stop sees it
    assert lateness.stopped_s() == pytest.approx(36.0)
    assert description(lateness, {})["disturbed"]


def test_a_suspension_is_not_lateness_but_is_noticed() -> None:
    clock = Clock()
    lateness = Lateness(clock.clocks)
    clock.asleep += 3600
    assert lateness.worst_s() == pytest.approx(0.0)
    assert lateness.suspended_s() == pytest.approx(3600)
    assert description(lateness, {})["disturbed"]


@pytest.mark.parametrize(("late", "disturbed"), [(0.4, False), (0.6, True)])
def test_a_late_machine_disturbs_a_run(late: float, disturbed: bool) -> None:
    found = description(Lateness(Clock().clocks), {"pull-1": 0.01, "pull-2": late})
    assert found["disturbed"] is disturbed
    assert found["machines_late_s"] == {"pull-1": 0.01, "pull-2": late}
