"""A machine that breaks off in the middle of an answer, or is silent: one error that names it."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_machine import FakeRemote

from pushpull.core.errors import LabError, MachineLost
from pushpull.engine import deploy
from pushpull.engine.disturbance import MachineLateness
from pushpull.engine.sniffers import Sniffers
from pushpull.machines import clock_offset, remote, traffic_rules


class Channel:
    """A way to a machine that breaks, or stays silent, or says what it shouldn't."""

    def __init__(self, answer: Exception | str) -> None:
        self._answer = answer

    def sendall(self, _: bytes) -> None: ...

    def settimeout(self, _: float) -> None: ...

    def close(self) -> None: ...

    def makefile(self, _: str) -> Any:
        if isinstance(self._answer, str):
            return io.StringIO(self._answer)
        return self

    def readline(self) -> str:
        assert isinstance(self._answer, Exception)
        raise self._answer


class Machine(FakeRemote):
    """A machine with another clock than ours, and such a channel to it."""

    def __init__(self, answer: Exception | str) -> None:
        super().__init__("pull-1", "puller", {}, 2)
        self.answer = answer

    def talk(self, argv: Any) -> Any:
        return Channel(self.answer)

    def read(self, path: str) -> str:
        return "another boot"


def setting(folder: Path, remotes: Any) -> Any:
    directory = SimpleNamespace(path=folder, packets=lambda machine: io.BytesIO())
    return SimpleNamespace(remotes=remotes, folder="run", directory=directory)


NO_TIMES = ["nan\n", "inf\n", "1e300\n", "-1.0\n", "253402300800.0\n", "9" * 400 + "\n"]
BROKEN = [TimeoutError(), TimeoutError("timed out"), EOFError(), OSError("Socket is closed")]


@pytest.mark.parametrize("answer", [*BROKEN, "", "soon\n", "1.0\n", *NO_TIMES], ids=repr)
def test_a_machine_that_does_not_answer_with_its_time(
    answer: Exception | str, tmp_path: Path
) -> None:
    machine: Any = Machine(answer)
    experiment = SimpleNamespace(needs=[], versions={})
    request: Any = SimpleNamespace(files={}, programs={}, experiment=experiment)
    where = setting(tmp_path, {"pull-1": machine})
    with (
        pytest.raises(MachineLost, match="can't ask it for its time") as raised,
        deploy.Removal(where) as removal,
    ):
        deploy._prepare(where, request, removal)
    assert raised.value.where == "machine pull-1"
    assert raised.value.hint
    assert clock_offset.our_boot_id() != "another boot"


@pytest.mark.parametrize("answer", BROKEN, ids=repr)
def test_a_machine_that_breaks_during_the_network_trial(answer: Exception) -> None:
    machine: Any = Machine(answer)
    with pytest.raises(MachineLost, match="can't try the lab network") as raised:
        traffic_rules.reaches(machine, machine)
    assert raised.value.where == "machine pull-1"


@pytest.mark.parametrize("said", ["", "x y", "1.0", "1.0 2.0 3.0", "1e9 none"])
def test_a_machine_that_says_no_time_for_a_change(said: str) -> None:
    with pytest.raises(MachineLost, match="ask it for its time"):
        remote._moment(said, Machine("").access)


@pytest.mark.parametrize("said", ["", "nan\n", "-3\n", "1e300\n", "soon\n", "0.25\n"])
def test_a_machine_that_says_nonsense_for_its_lateness_is_not_measured(said: str) -> None:
    talk: Any = Channel(said)
    found = MachineLateness({"pull-1": talk}).end()
    assert found == ({"pull-1": 0.25} if said == "0.25\n" else {})


class Started:
    """A sniffer; it says at once what it was made to say, or nothing."""

    def __init__(self, said: bytes | None) -> None:
        self.said = said
        self.ends = 0

    def end(self) -> None:
        self.ends += 1

    def wait(self, _: float) -> None: ...


@pytest.mark.parametrize("said", [None, b"", b"no link has the address\n"])
def test_a_sniffer_that_does_not_listen_is_ended(
    said: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Started(said)

    def follow(_: Any, __: Any, stderr: Any, ___: Any) -> Any:
        if said is not None:
            stderr(said)
        return started

    machine: Any = object.__new__(remote.Remote)
    fake = Machine("")
    machine.access, machine.name = fake.access, fake.name
    monkeypatch.setattr(remote, "ANSWER_TIMEOUT_S", 0.01)
    stand_ins = {"as_root": list, "_channel": lambda _: None, "_follow": follow}
    stand_ins["_agent"] = lambda *words: [str(word) for word in words]
    for name, value in stand_ins.items():
        monkeypatch.setattr(machine, name, value)
    with pytest.raises(LabError, match="can't capture packets") as raised:
        machine.sniff("run", lambda _: None)
    assert isinstance(raised.value, MachineLost) == (said is None)
    assert started.ends == 1


def test_if_one_machine_refuses_capture_the_other_sniffers_end(tmp_path: Path) -> None:
    begun: list[Started] = []

    class Sniffed(FakeRemote):
        def sniff(self, folder: str, output: Any) -> Any:
            if self.name == "b":
                raise LabError("can't capture packets", where="machine b")
            begun.append(Started(b""))
            return begun[-1]

    machines: Any = {name: Sniffed(name, "x", {}, 1) for name in "abc"}
    monitor: Any = None
    with pytest.raises(LabError, match="can't capture"):
        Sniffers(setting(tmp_path, machines), monitor).begin()
    assert [one.ends for one in begun] == [1, 1]
