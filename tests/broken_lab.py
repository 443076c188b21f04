"""A lab of machines in memory, on which faults are done and verified in milliseconds."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fake_machine import FakeMachines, FakeRemote

from pushpull.core.clock import Moment, now
from pushpull.core.records import Event
from pushpull.engine.build import Parts
from pushpull.engine.fault_schedule import FaultSchedule
from pushpull.engine.faults import Faults
from pushpull.engine.scenario import Lab
from pushpull.machines import traffic_rules, wall_clock


class Broken:
    """A lab of machines in memory, whose network is what `passes` says; it notes its events."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        roles = {name: "pusher" if name == "push" else "puller" for name in names}
        remotes = [FakeRemote(name, roles[name], {}, 161 + k) for k, name in enumerate(names)]
        self.machines = FakeMachines(*remotes)
        self.events: list[Event] = []
        monitor: Any = SimpleNamespace(
            event=self.events.append,
            our_time=lambda _, at: at.t,
            wall_clock_set=lambda *_: None,
        )
        self.manager: Any = SimpleNamespace(
            remotes=self.machines.remotes,
            folder="folder",
            processes=[],
            wall_clocks={},
            machines=lambda where: [where] if isinstance(where, str) else list(where),
            monitor=monitor,
        )
        self.passes: Callable[[str, str], bool] = lambda sender, receiver: True
        self.silent: set[str] = set()
        self.late_s = 0.0  # for which the last datagrams were waited
        self.faults = Faults.of(self.machines, self.manager)
        schedule = FaultSchedule.of(self.manager, self.faults)
        parts = Parts(monitor=monitor, manager=self.manager, faults=self.faults, schedule=schedule)
        self.lab = Lab(parts, variant="", count=1, interval=0.0)
        monkeypatch.setattr(wall_clock, "environment", lambda *_: {})
        monkeypatch.setattr(wall_clock, "set_ahead", lambda *_: None)
        monkeypatch.setattr(traffic_rules, "reached", self._reached)
        monkeypatch.setattr(traffic_rules, "possible", lambda _, __, change, ___: change)
        monkeypatch.setattr(
            traffic_rules, "is_there", lambda asker, one, _: one.name not in self.silent
        )
        self.rules: set[str] = set()  # the machines that have some still
        monkeypatch.setattr(traffic_rules, "has_rules", lambda one, _: one.name in self.rules)
        monkeypatch.setattr(
            traffic_rules, "hold", lambda *_: SimpleNamespace(at=Moment(now()), release=int)
        )

    def verified(self) -> list[object]:
        return [event.details["verified"] for event in self.events]

    def _reached(
        self, senders: list[Any], receivers: list[Any], late_s: float = 0.0
    ) -> set[tuple[str, str]]:
        self.late_s = late_s
        return {(s.name, r.name) for s in senders for r in receivers if self.passes(s.name, r.name)}
