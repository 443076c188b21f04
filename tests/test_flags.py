"""How a scenario starts a program: its flags and arguments, and the machines that it names."""

from typing import Any

import pytest
from fake_machine import FakeMachines, FakeRemote

from pushpull.analysis.line_readers import lines
from pushpull.core.errors import LabError
from pushpull.core.records import Record
from pushpull.engine.flags import words
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.unread import unread


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"level": 3}, ["--level", "3"]),
        ({"loud": True}, ["--loud"]),
        ({"loud": False, "quiet": None}, []),
        ({"zero": 0, "empty": ""}, ["--zero", "0", "--empty", ""]),
        ({"high_water_mark": 5}, ["--high-water-mark", "5"]),
        ({"high-water-mark": 5}, ["--high-water-mark", "5"]),
        ({"level": [4, 5]}, ["--level", "4", "--level", "5"]),
        ({"level": (False, True, 1)}, ["--level", "--level", "1"]),
        ({"level": []}, []),
    ],
)
def test_flags(flags: dict[str, Any], expected: list[str]) -> None:
    assert words(flags) == expected


def test_arguments_follow_the_flags_as_they_are() -> None:
    assert words({"a_b": 1}, ["tcp://*:1", 20, "--x_y", False]) == [
        *("--a-b", "1", "tcp://*:1", "20", "--x_y", "False")
    ]


@pytest.mark.parametrize("arguments", ["word", b"word", 3, {"a"}])
def test_arguments_that_are_not_a_list(arguments: Any) -> None:
    with pytest.raises(LabError, match="is not a list"):
        words({}, arguments)


def test_a_word_that_no_program_can_receive() -> None:
    with pytest.raises(LabError, match="can't be an argument"):
        words({"a": "x\0y"})


def manager(**roles: str) -> ProcessManager:
    """Return a manager on machines with these roles; `_` is `-` in their names."""
    named = {name.replace("_", "-"): role for name, role in roles.items()}
    remotes = [FakeRemote(n, role, {}, k) for k, (n, role) in enumerate(named.items())]
    unused: Any = None
    return ProcessManager(
        remotes=FakeMachines(*remotes).remotes,
        run=unused,
        programs={},
        files={},
        folder="",
        options=(),
        grace_s=2,
        load={},
        capture=unused,
        monitor=unused,
    )


def test_how_machines_are_named() -> None:
    lab = manager(push="pusher", pull_1="puller", pull_2="puller")
    assert lab.machines("puller") == ["pull-1", "pull-2"]
    assert lab.machines("pull-2") == ["pull-2"]
    assert lab.machines(["pusher", "puller"]) == ["push", "pull-1", "pull-2"]
    assert lab.machines(["pull-1", "pull-1"]) == ["pull-1", "pull-1"]
    assert lab.only("pusher") == lab.only(["push"]) == "push"
    assert manager(push="push").machines("push") == ["push"]


@pytest.mark.parametrize("where", ["pul-1", ["push", "pul-1"], ""])
def test_a_machine_that_does_not_exist(where: str | list[str]) -> None:
    with pytest.raises(LabError, match="no machine has the name or the role"):
        manager(push="pusher", pull_1="puller").machines(where)


def test_a_machine_that_is_named_like_the_role_of_others() -> None:
    lab = manager(worker="boss", a="worker", b="worker")
    with pytest.raises(LabError, match="'worker' is a machine, and the role of a and b"):
        lab.machines("worker")


@pytest.mark.parametrize("to", ["puller", ["pull-1", "pull-2"], ["pusher", "pull-1"], []])
def test_an_address_is_one_machines(to: str | list[str]) -> None:
    with pytest.raises(LabError, match="a program gets the address of one"):
        manager(push="pusher", pull_1="puller", pull_2="puller").only(to)


# --- Which lines are a program's, and which are read. ---------------------------------------------


def record(process: str, text: str, stream: str = "stdout") -> Record:
    return Record(
        machine="pull-1",
        process=process,
        stream=stream,
        n=0,
        t=1.0,
        text=text,
        offset=0,
        length=len(text),
    )


def test_a_programs_name_may_have_dots() -> None:
    reads = lines(received={"count.v1.5": r"v (\d+)", "count": r"(\d+)"})
    lives = ("count.v1.5", "count.v1.5.2", "count", "count.2")
    said = ("v 1", "v 2", "3", "4")
    read = [reads(record(*one)) for one in zip(lives, said, strict=True)]
    assert [message and message.number for message in read] == [1, 2, 3, 4]
    assert reads(record("count.v1", "v 1")) is None


def test_messages_on_stderr_are_reported() -> None:
    reads = lines(received={"count": r"got (\d+)"})
    wrong = [record("count", "got 1", "stderr"), record("count", "got 2", "stderr")]
    assert "count on pull-1 (2)" in unread(wrong, reads)
    assert unread([*wrong, record("count", "got 3")], reads) == ""
    assert unread([record("count", "a warning", "stderr"), record("count", "x")], reads) == ""
    assert (
        unread([record("count", "got 1", "stderr")], lines(received={"count": r"got (x?)1"})) == ""
    )
