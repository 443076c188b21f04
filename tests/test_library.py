"""The lab in a script: `Lab.of` and `Lab.up`, without an experiment."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pushpull.api import (
    Lab,
    LabError,
    LimitReached,
    Outcome,
    TriggerMissed,
    Verdict,
    exactly_once,
    lines,
    never_twice,
)
from pushpull.machines.remote import Remote
from pushpull.runs import store

EMBEDDED: Any = {"provider": "namespaces"}
FOREVER = "import time\nwhile True: print('at work', flush=True); time.sleep(0.005)"
COUNT = "import time\nfor n in range(500): print(n, flush=True); time.sleep(0.005)"


def python(code: str) -> list[str]:
    return ["{python}", "-c", code]


def test_one_is_killed_at_a_line_and_the_others_go_on(tmp_path: Path) -> None:
    with Lab.of(3, **EMBEDDED, runs=tmp_path) as lab:
        workers = lab.start(python(COUNT), on=lab.machines())
        victim = lab.first(workers, prints=lambda line: line == "7")
        lab.kill(victim)
        lab.more(workers.without(victim), lines=20)
        run = lab.run()
        printed = {m: [r.text for r in run.records if r.machine == m] for m in lab.machines()}
        assert [event.machine for event in run.events("fault")] == [victim.machine]
    assert [text for text in printed[victim.machine] if text == "7"]
    assert len(printed[victim.machine]) < 400
    assert store.load(lab.path).state == "finished"


def test_claims_are_asserted(tmp_path: Path) -> None:
    reads = lines(sent={"sends": r"(\d+)"}, received={"gets": r"(\d+)"})
    for name, code in (("sends", "for n in range(5): print(n)"), ("gets", "print(0); print(0)")):
        (tmp_path / f"{name}.py").write_text(code)
    with Lab.of(
        2, **EMBEDDED, runs=tmp_path / "runs", folder=tmp_path, reads=reads, count=5
    ) as lab:
        one, other = lab.machines()
        lab.start("gets.py", on=other).wait()
        lab.start("sends.py", on=one).wait()
        run = lab.run()
    assert list(run.sent.numbers) == [0, 1, 2, 3, 4]
    with pytest.raises(AssertionError, match=r"^refuted: .*message 0 was received twice"):
        exactly_once(run, run.planned).require()
    twice = never_twice(run)
    assert twice.outcome is Outcome.REFUTED
    assert twice.messages == (0,)


def test_only_what_holds_is_enough() -> None:
    Verdict.holds("It does.").require()
    for verdict in (Verdict.refuted("It doesn't."), Verdict.not_observed("Nobody knows.")):
        with pytest.raises(AssertionError, match=verdict.why):
            verdict.require()


def test_programs_files_and_what_they_leave(tmp_path: Path) -> None:
    (tmp_path / "copy.sh").write_text("#!/bin/sh\ncat words >result\necho done\n")
    (tmp_path / "words").write_text("as they were")
    with Lab.of(1, **EMBEDDED, runs=tmp_path / "runs", folder=tmp_path, files=["words"]) as lab:
        lab.start("copy.sh", on="node-1").wait()
        assert lab.fetch("node-1", "result").read_text() == "as they were"
        with pytest.raises(LabError, match=r"there is no program 'none\.py'"):
            lab.start("none.py", on="node-1")


def test_machines_by_an_inventory(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(
        "network: 10.1.0.0/24\nmachines:\n"
        "  broker: {role: broker, address: 10.1.0.1}\n"
        "  worker: {role: worker, address: 10.1.0.2, count: 2}\n"
    )
    with Lab.up(file, **EMBEDDED, runs=tmp_path) as lab:
        assert lab.machines() == ["broker", "worker-1", "worker-2"]
        assert lab.machines("worker") == ["worker-1", "worker-2"]
        assert lab.address("worker-2", port=7000) == "tcp://10.1.0.3:7000"


def test_a_wait_ends_at_the_latest_when_all_was_silent_for_so_long(tmp_path: Path) -> None:
    with (
        pytest.raises(LimitReached, match="sleep on node-1"),
        Lab.of(1, **EMBEDDED, runs=tmp_path, patience_s=0.2) as lab,
    ):
        lab.first(lab.start(["sleep", "60"], on="node-1"), prints=bool)
    assert store.load(lab.path).state == "interrupted"


def test_a_line_that_can_not_come_any_more(tmp_path: Path) -> None:
    with Lab.of(1, **EMBEDDED, runs=tmp_path) as lab:
        ended = lab.start(["true"], on="node-1")
        with pytest.raises(TriggerMissed, match="never printed"):
            lab.first(ended, prints=bool)


@pytest.mark.parametrize("machines", [0, -1, 10_001])
def test_no_such_number_of_machines(machines: int) -> None:
    with pytest.raises(LabError, match="give a number from 1 to"):
        Lab.of(machines).__enter__()


def test_an_exception_in_the_script_leaves_nothing(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), Lab.of(1, runs=tmp_path, **EMBEDDED) as lab:
        lab.start(python(FOREVER), on="node-1")
        _ = 1 / 0
    assert store.load(lab.path).state == "interrupted"
    assert [e.event for e in store.load(lab.path).events] == ["start", "exit"]


LISTENS_LATE = """
import socket, time
server = socket.socket()
server.bind(("", 7000))
time.sleep(0.3)
print("before", flush=True)
server.listen()
server.accept()[0].sendall(b"hello")
"""
ASKS = "import os, socket; print(socket.create_connection((os.environ['LAB_HOST'], 7000)).recv(9))"


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer that a machine is asked for, whether a program is ready, is given up at once."""

    def talk(remote: Remote, argv: Sequence[str]) -> Any:
        channel = real(remote, argv)
        if any('print("ready")' in word for word in argv):
            channel.settimeout(0.01)
        return channel

    real = Remote.talk
    monkeypatch.setattr(Remote, "talk", talk)


@pytest.mark.usefixtures("short_answers")
def test_a_program_is_ready_when_its_port_listens_however_late(tmp_path: Path) -> None:
    with Lab.of(2, runs=tmp_path, **EMBEDDED) as lab:
        server = lab.start(python(LISTENS_LATE), on="node-1", ready=7000)
        lab.start(python(ASKS), on="node-2", to="node-1").wait()
        server.wait()
        printed = [record.text for record in lab.run().records if record.stream == "stdout"]
    assert printed == ["before", "b'hello'"]


def test_a_program_is_ready_when_a_command_succeeds(tmp_path: Path) -> None:
    late = python("import time; time.sleep(0.2); open('there', 'w'); time.sleep(60)")
    with Lab.of(1, runs=tmp_path, **EMBEDDED) as lab:
        lab.start(late, on="node-1", ready=["test", "-e", "there"])
        assert lab.fetch("node-1", "there").read_bytes() == b""


@pytest.mark.parametrize("ready", [7000, ["false"], lambda line: False])
def test_a_program_that_ends_before_it_is_ready_is_an_error_at_once(
    tmp_path: Path, ready: Any
) -> None:
    with Lab.of(1, runs=tmp_path, **EMBEDDED) as lab:
        with pytest.raises(LabError, match="before it was ready, with exit status 3") as error:
            lab.start(python("print('no licence'); raise SystemExit(3)"), on="node-1", ready=ready)
        assert error.value.output == "no licence"
