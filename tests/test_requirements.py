"""What machines are asked for before a run: each thing once, and of machines that are alike one."""

from collections.abc import Sequence
from typing import cast

import pytest

from pushpull.core.errors import NotFit
from pushpull.machines import requirements
from pushpull.machines.providers.base import Access
from pushpull.machines.remote import Remote


class Machine:
    """Has some commands; notes what it was asked for."""

    def __init__(self, has: set[str], provides: set[str] | None = None) -> None:
        self.name = "pull-1"
        self.has = has
        self.asked: list[str] = []
        self.access = Access(
            provider="fake",
            machine=self.name,
            roles=("puller",),
            address="192.168.0.162",
            host="127.0.0.1",
            port=22,
            user=None,
            work="lab",
            python="python3",
            provides=set() if provides is None else provides,
        )

    def run(self, argv: Sequence[str]) -> bytes:
        names = argv[4:]
        self.asked += names
        return "\n".join(name for name in names if name not in self.has).encode()


def require(machine: Machine, *needs: str) -> None:
    requirements.require(cast(Remote, machine), needs)


def test_what_a_machine_was_seen_to_have_is_asked_once() -> None:
    machine = Machine({"awk", "sed"})
    require(machine, "awk")
    require(machine, "awk", "sed")
    assert machine.asked == ["awk", "sed"]


def test_what_it_lacks_is_asked_again() -> None:
    machine = Machine({"awk"})
    for _ in range(2):
        with pytest.raises(NotFit, match="it lacks what this experiment needs: dotnet"):
            require(machine, "awk", "dotnet")
    machine.has.add("dotnet")
    require(machine, "awk", "dotnet")


def test_machines_with_the_same_programs_are_one_to_ask() -> None:
    shared = set[str]()
    alike = [Machine({"awk"}, shared) for _ in range(3)]
    others = [Machine({"awk"}) for _ in range(2)]
    remotes = {str(number): cast(Remote, one) for number, one in enumerate([*alike, *others])}
    assert len(requirements.different(remotes)) == 3
    for one in alike:
        require(one, "awk")
    assert [one.asked for one in alike] == [["awk"], [], []]
