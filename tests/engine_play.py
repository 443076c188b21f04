"""Plays whole runs of an experiment on machines in memory."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_machine import FakeMachines, FakeProcess, FakeRemote, Script

from pushpull.analysis.line_readers import lines
from pushpull.core.records import Event, Record
from pushpull.engine import ending, finish, runner
from pushpull.engine.request import RunRequest
from pushpull.experiments import catalogue, fingerprint
from pushpull.experiments.implementations import Choice
from pushpull.runs.store import StoredRun, load

COUNT = 6
MESSAGES = lines(sent={"src": r"(\d+)"}, received={"work": r"(\d+) .*"})
MINE = '''"""Of the test's own."""
from pushpull.api import Verdict, claim, exactly_once, experiment, lines, never_twice

MESSAGES = lines(sent={{"src": r"(\\d+)"}}, received={{"work": r"(\\d+) .*"}})


@experiment(
    source="s",
    reads=MESSAGES,
    count=6,
    interval=0,
    takes={takes},
    grace={grace},
    machines={{"puller": {pullers}}},
    faults={faults},
)
def mine(lab):
    worker = lab.start("work", on="puller", to="pusher")
    source = lab.start("src", on="pusher")
    {scenario}


@claim("Each comes once.")
def once(run):
    return exactly_once(run, run.planned)


@claim("None comes twice.")
def twice(run):
    return never_twice(run)


@claim("Whatever it is about, it takes less than a day.", timed=True)
def quick(run):
    return Verdict.holds("It did.")
'''


class NoView:
    """A view that shows nothing."""

    def experiment(self, name: str, summary: str, seconds: float) -> None: ...

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...


class Done:
    """A finished run: its result, and what was stored."""

    def __init__(self, result: runner.Result, stored: StoredRun) -> None:
        self.code, self.note, self.error = result.code, result.note, result.error
        self.stored = stored
        self.verdicts = {
            v["id"].partition(".")[2]: (v["verdict"], v["why"]) for v in result.verdicts
        }

    def exits(self) -> dict[str, tuple[int | None, str]]:
        return {
            event.process: (event.details["status"], event.details["by"])
            for event in self.stored.events
            if event.event == "exit"
        }


Play = Callable[..., Done]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(
        source: Script,
        work: Script,
        *,
        scenario: str = "source.wait()",
        takes: float = 0.0,
        grace: float = 2.0,
        pullers: int = 1,
        workers: int = 1,
        faults: Sequence[str] = (),
        reads: bool = True,
    ) -> Done:
        folder = tmp_path / "mine"
        folder.mkdir()
        text = MINE.format(
            scenario=scenario, takes=takes, grace=grace, pullers=pullers, faults=tuple(faults)
        )
        if not reads:
            text = text.replace("    reads=MESSAGES,\n", "")
        (folder / "experiment.py").write_text(text)
        for name in ("src.sh", "work.sh"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        push = FakeRemote("push", "pusher", {"src": source}, 161)
        scripts = {"work": work}
        numbers = range(1, workers + 1)
        pulls = [FakeRemote(f"pull-{k}", "puller", scripts, 161 + k) for k in numbers]
        machines = FakeMachines(push, *pulls)
        experiment = catalogue.load(str(folder))
        request = RunRequest(
            experiment=experiment,
            programs=catalogue.programs(experiment, Choice()),
            files=catalogue.files(experiment),
            code=fingerprint.code(experiment),
            implementation="",
            variant="",
            count=None,
            interval=None,
            options=(),
            packets=False,
            call="call",
            command="./fab",
        )
        view: Any = NoView()
        result = runner.run(
            request, machines, machines.remotes, view, tmp_path / "runs", meanwhile=lambda: None
        )
        return Done(result, load(result.path))

    return run


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence ends a run at once: for tests in which nothing more can arrive."""
    for name in ("QUIET_S", "PATIENCE_S", "AT_WORK_S"):
        monkeypatch.setattr(ending, name, 0.05)
    monkeypatch.setattr(finish, "AT_WORK_S", 0.05)


def untraced(script: Script) -> Script:
    """Return the script of a program without traces."""

    def quietly(process: FakeProcess) -> int | None:
        process.traces = lambda event, **details: None  # type: ignore[method-assign]
        return script(process)

    return quietly
