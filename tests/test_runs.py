"""A run directory tells the truth about its run, however the run ended."""

import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import LEAST

from pushpull.core.errors import LabError
from pushpull.core.records import Event, Record
from pushpull.runs.directory import RunDirectory
from pushpull.runs.jsonl import record_lines
from pushpull.runs.store import load

VERDICT = {
    "id": "round_robin.shared", "statement": "s", "source": "", "verdict": "holds",
    "expected": "holds", "because": "", "by_chance": False, "why": "w",
    "evidence": {"messages": [0, 1], "events": []},
}  # fmt: skip
HOME = Path(__file__).parent.parent


def record(n: int, text: str | None = "7 , 1.5") -> Record:
    return Record(
        machine="pull-1", process="pull", stream="stdout",
        n=n, t=n / 3, text=text, offset=10 * n, length=9,
    )  # fmt: skip


def as_format_1(path: Path, records: Iterable[Record]) -> None:
    """Give a run its lines as runs of format 1 have them."""
    description = json.loads((path / "run.json").read_text())
    description.pop("format", None)
    (path / "run.json").write_text(json.dumps(description))
    (path / "records.jsonl").write_bytes(record_lines(list(records)))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    run = RunDirectory.create(tmp_path / "runs", "round_robin", LEAST | {"call": "c1", "count": 20})
    yield run
    run.close()


# -- a run that is written and read ----------------------------------------------------------


def test_what_is_written_is_read(run: RunDirectory) -> None:
    records = (record(0), record(1, None), record(2, 'é\u2028\x1b\x00"\\\n\ud800'))
    events = (
        Event(t=1.5, event="start"),
        Event(t=2, event="kill", machine="pull-1", process="pull", details={"took_s": 0.002}),
    )
    verdicts = [VERDICT]
    for event in events:
        run.event(event)
    run.update(environment={"libzmq": "4.3.5"})
    assert load(run.path).verdicts is None
    run.write_verdicts(verdicts)
    run.attach("traceback.txt", "Traceback: \udcff")
    run.finish("finished")
    with pytest.raises(ValueError, match="closed"):
        run.event(events[0])
    assert load(run.path).description["format"] == 2
    as_format_1(run.path, records)
    stored = load(run.path)
    made = stored.description.pop("sums")
    assert set(made) == {"events.jsonl", "verdicts.json", "run.json"}
    assert stored.path == run.path
    assert stored.records == records
    assert stored.events == events
    assert stored.verdicts == verdicts
    assert stored.state == "finished"
    assert stored.description == {
        "state": "finished",
        "experiment": "round_robin",
        "started": stored.description["started"],
        "call": "c1",
        "count": 20,
        **LEAST,
        "environment": {"libzmq": "4.3.5"},
    }
    assert (run.path / "traceback.txt").read_text() == "Traceback: \\udcff"


def test_the_files_are_those_of_the_contract(run: RunDirectory) -> None:
    run.event(Event(t=1.5, event="start"))
    run.write_verdicts([])
    for file in run.log("pull-1", "pull.2", "stderr"):
        file.close()
    files = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert files == {
        "events.jsonl",
        "pull-1/pull.2.err",
        "pull-1/pull.2.err.index",
        "run.json",
        "verdicts.json",
    }
    assert re.fullmatch(r"\d{8}T\d{6}Z-round_robin", run.path.name)
    assert (run.path.parent / "latest").readlink() == Path(run.path.name)  # moves with its folder
    assert (run.path / "events.jsonl").read_text() == '{"t": 1.5, "event": "start"}\n'


texts = st.none() | st.text()
names = st.sampled_from(["stdout", "stderr"])


@given(st.lists(st.tuples(texts, names, st.floats(0, 2e9), st.integers(0, 2**40)), max_size=9))
def test_records_are_what_json_makes_of_them(
    drawn: list[tuple[str | None, str, float, int]],
) -> None:
    records = [
        Record(machine="m", process="p", stream=s, n=n, t=t, text=text, offset=place, length=n)
        for n, (text, s, t, place) in enumerate(drawn)
    ]
    plain = "".join(json.dumps(asdict(record)) + "\n" for record in records)
    assert record_lines(records) == plain.encode()


def test_details_can_not_hide_the_machine_and_the_process(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="machine"):
        run.event(Event(t=1.0, event="kill", details={"machine": "pull-2"}))
    with pytest.raises(ValueError, match="JSON"):
        run.event(Event(t=1.0, event="kill", details={"took_s": float("nan")}))
    assert load(run.path).events == ()


def test_threads_write_whole_lines(run: RunDirectory) -> None:
    def write(k: int) -> None:
        for n in range(200):
            run.event(Event(t=1.0, event="e", details={"n": n, "k": k}))
            run.update(**{f"k{k}": n})

    threads = [threading.Thread(target=write, args=[k]) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = load(run.path)
    for k in range(4):
        mine = [event.details["n"] for event in stored.events if event.details["k"] == k]
        assert mine == list(range(200))
        assert stored.description[f"k{k}"] == 199
    assert len(stored.events) == 800


@pytest.mark.parametrize("name", ["", "Ä", "a" * 41, "a/b", "..", "a b", "UP", "a\n"])
def test_an_invalid_name_never_becomes_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="name of an experiment"):
        RunDirectory.create(tmp_path / "runs", name, {})
    assert not (tmp_path / "runs").exists()


def test_other_users_see_what_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run = RunDirectory.create(tmp_path / "runs", "round_robin", {})
        for file in run.log("pull-1", "pull", "stdout"):
            file.close()
        run.finish("finished")
    finally:
        os.umask(before)
    files = [tmp_path / "runs", *(tmp_path / "runs").rglob("*")]
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


# -- two at once -----------------------------------------------------------------------------


def test_runs_that_start_in_one_second_have_separate_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "20261124T061026Z")
    made: list[RunDirectory] = []
    together = threading.Barrier(8)

    def create() -> None:
        together.wait()
        made.append(RunDirectory.create(tmp_path / "runs", "round_robin", {}))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stem = "20261124T061026Z-round_robin"
    expected = {stem, *(f"{stem}-{k}" for k in range(2, 9))}
    assert {run.path.name for run in made} == expected
    assert (tmp_path / "runs" / "latest").resolve().name in expected
    assert {path.name for path in (tmp_path / "runs").iterdir()} == expected | {"latest"}
    for run in made:
        run.close()


# -- what was torn, and what is wrong ----------------------------------------------------------


@pytest.mark.parametrize("name", ["records.jsonl", "events.jsonl"])
def test_a_torn_last_line_is_not_a_mistake(run: RunDirectory, name: str) -> None:
    run.event(Event(t=1.0, event="start"))
    run.event(Event(t=2.0, event="ready"))
    run.finish("finished")
    as_format_1(run.path, [record(0), record(1)])
    whole = (run.path / name).read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole)):
        (run.path / name).write_bytes(whole[:end])
        stored = load(run.path)
        assert len(stored.records if name == "records.jsonl" else stored.events) == 1


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("records.jsonl", '{"machine": "m"', None),
        ("records.jsonl", '{"machine": "m"}\n', "records.jsonl:1"),
        ("records.jsonl", "[]\n", "records.jsonl:1"),
        ("records.jsonl", "\n", "records.jsonl:1"),
        ("events.jsonl", '{"t": 1, "event": "e"}\n{"t": "1", "event": "e"}\n', "events.jsonl:2"),
        ("events.jsonl", '{"t": 1, "event": "e"}\nnull\n', "events.jsonl:2"),
        ("events.jsonl", "\udcff\n", "events.jsonl:1"),
        ("events.jsonl", "[" * 100_000 + "\n", "events.jsonl:1"),
        ("run.json", '{\n"state": "running"\n"b"', "run.json:3"),
        ("run.json", '{"state": "done", "started": 1.0}', "run.json:1"),
        ("run.json", '["running"]', "run.json:1"),
        ("verdicts.json", "{}", "verdicts.json:1"),
    ],
)
def test_malformed_content_is_named(
    run: RunDirectory, name: str, content: str, where: str | None
) -> None:
    run.finish("finished")
    as_format_1(run.path, [])
    (run.path / name).write_text(content, errors="surrogateescape")
    if not where:
        assert load(run.path).records == ()
        return
    with pytest.raises(LabError) as caught:
        load(run.path)
    assert caught.value.where.endswith(where)


def test_a_run_without_its_files_is_named(run: RunDirectory) -> None:
    run.finish("finished")
    as_format_1(run.path, [])
    (run.path / "records.jsonl").unlink()
    with pytest.raises(LabError, match=re.escape("records.jsonl")):
        load(run.path)
    with pytest.raises(LabError, match="nowhere"):
        load(run.path.parent / "nowhere")


# -- where nothing can be written ----------------------------------------------------------------


def test_a_file_is_in_place_of_the_runs_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for root in (tmp_path / "runs", tmp_path / "runs" / "below"):
        with pytest.raises(LabError, match="runs") as caught:
            RunDirectory.create(root, "round_robin", {})
        assert "--runs" in caught.value.hint


def test_a_run_that_could_not_start_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(LabError, match="directory"):
        RunDirectory.create(tmp_path, "round_robin", {})
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]


def test_the_folder_is_removed_meanwhile(run: RunDirectory) -> None:
    shutil.rmtree(run.path)
    with pytest.raises(LabError, match="removed meanwhile"):
        run.finish("finished")
    run.close()


def test_invalid_json_is_our_bug(run: RunDirectory) -> None:
    broken: list[Callable[[], Any]] = [
        lambda: run.update(took_s=float("inf")),
        lambda: run.write_verdicts([{"why": float("nan")}]),
    ]
    for attempt in broken:
        with pytest.raises(ValueError, match="JSON"):
            attempt()
    run.finish("finished")
    assert load(run.path).verdicts is None
