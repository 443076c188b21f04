"""`pushpull.api.load`: runs, bundles and folders of them as data frames with fixed types."""

import importlib.util
import json
import math
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import made_runs
import polars as pl
import pytest
from command import PROJECT

from pushpull import api
from pushpull.analysis import frames
from pushpull.core.errors import LabError
from pushpull.runs import bundle

NOTEBOOK = PROJECT / "docs" / "data-frames.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_runs.with_a_loss(tmp_path_factory.mktemp("made") / "runs")


def changed(run: Path, into: Path, file: str, change: Any) -> Path:
    """Return a copy of a run in which the value in one of its JSON files is another."""
    copy = Path(shutil.copytree(run, into / run.name))
    content = json.loads((copy / file).read_text())
    change(content)
    (copy / file).write_text(json.dumps(content))
    return copy


def test_the_frames_of_a_run(run: Path) -> None:
    found = api.load(run)
    (row,) = found.runs.to_dicts()
    assert (row["run"], row["experiment"], row["state"]) == (run.name, "kill_worker", "finished")
    assert (row["count"], row["interval_s"], row["machines"]) == (12, 0.1, 3)
    assert row["started"].timestamp() == made_runs.START
    verdicts = {v["id"]: v["verdict"] for v in json.loads((run / "verdicts.json").read_text())}
    claims = found.claims.to_dicts()
    assert {f"{c['experiment']}.{c['claim']}": c["verdict"] for c in claims} == verdicts
    fault = found.events.filter(event="fault").to_dicts()[0]
    assert fault["machine"] == "pull-1"
    assert fault["t_s"] == pytest.approx(0.73)
    assert json.loads(fault["details"])["fault"] == "kill"
    messages = found.messages.collect()
    by_number = {row["number"]: row for row in messages.to_dicts()}
    assert by_number.keys() == set(range(12))
    assert by_number[5] | {"sent_s": 0} == {
        "run": run.name, "number": 5, "sender": "push", "receiver": None, "sent_s": 0,
        "received_s": None, "latency_s": None, "lateness_s": None, "fate": "lost",
    }  # fmt: skip
    assert by_number[8]["fate"] == "late"
    assert by_number[8]["latency_s"] == pytest.approx(0.65)


def test_the_values_of_a_run(run: Path, tmp_path: Path) -> None:
    assert api.load(run).values.collect().is_empty()
    valued = made_runs.with_values(tmp_path, {"depth": [3, 1.5], "odd": [None]})
    rows = api.load(valued).values.collect().to_dicts()
    assert [(row["name"], row["machine"], row["process"]) for row in rows] == [
        ("depth", "pull-1", "pull"), ("depth", "pull-2", "pull"), ("odd", "pull-1", "pull"),
    ]  # fmt: skip
    assert rows[0] | {"t_s": 0} == {
        "run": valued.name, "name": "depth", "value": 3.0, "t_s": 0, "machine": "pull-1",
        "process": "pull", "number": None,
    }  # fmt: skip
    assert [row["t_s"] for row in rows] == pytest.approx([0.2, 0.201, 0.2])
    assert math.isnan(rows[2]["value"])


def test_bundles_folders_and_names_that_occur_twice(run: Path, tmp_path: Path) -> None:
    for student in ("anna", "ben"):
        (tmp_path / student).mkdir()
        packed = bundle.pack(run, tmp_path / student).name.removesuffix(bundle.ENDING)
    shutil.copytree(run, tmp_path / "carl" / run.name)
    found = api.load(tmp_path, run, run)
    names = [f"anna/{packed}", f"ben/{packed}", f"carl/{run.name}"]
    assert found.runs["run"].to_list() == [*names, run.name, f"{run.name}#2"]
    one = api.load(run)
    for name in found.runs["run"]:
        assert found.claims.filter(run=name).drop("run").equals(one.claims.drop("run"))
        its = found.messages.filter(run=name).drop("run").collect()
        assert its.equals(one.messages.drop("run").collect())


def test_messages_are_the_same_whatever_is_asked_of_them_first(run: Path) -> None:
    lazy = api.load(run, PROJECT / "tests" / "recorded").messages
    every = lazy.collect()
    assert every.schema == frames.MESSAGES
    late = pl.col("fate").is_in(["late", "lost"])
    assert lazy.filter(late).select("number").collect().equals(every.filter(late).select("number"))
    assert lazy.head(30).filter(late).collect().equals(every.head(30).filter(late))
    assert lazy.select("sender").head(15).collect().equals(every.select("sender").head(15))


def test_a_run_that_cannot_be_read_is_a_row(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / run.name)
    (tmp_path / "notes.zip").write_text("no archive")
    (tmp_path / "20260101T000000Z-x").mkdir()
    changed(run, tmp_path / "torn", "run.json", lambda about: about.pop("parameters"))
    found = api.load(tmp_path)
    states = dict(found.runs.select("run", "state").iter_rows())
    good = states.pop(run.name)
    assert good == "finished"
    assert set(states) == {"notes.zip", "20260101T000000Z-x", f"torn/{run.name}"}
    assert set(states.values()) == {frames.UNREADABLE}
    errors = dict(found.runs.select("run", "error").iter_rows())
    assert "not a packed run" in errors["notes.zip"]
    assert "lacks 'parameters'" in errors[f"torn/{run.name}"]
    assert found.messages.select("run").unique().collect()["run"].to_list() == [run.name]


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("run.json", lambda about: about.update(error="half \ud800 of a pair")),
        ("run.json", lambda about: about.update(odd=["odd"], never={"odd": 1}, started=0)),
        ("run.json", lambda about: about["parameters"].update(interval=2**62, options=["\udfff"])),
        ("verdicts.json", lambda found: found[0].update(why="\ud800", id="no dot")),
        ("verdicts.json", lambda found: found[0]["evidence"].update(messages=[1.5, -(2**62)])),
    ],
)
def test_odd_values_change_no_type(run: Path, tmp_path: Path, file: str, change: Any) -> None:
    found = api.load(changed(run, tmp_path, file, change))
    assert found.runs["state"].to_list() == ["finished"], found.runs["error"].to_list()
    types = (found.runs.schema, found.claims.schema, found.events.schema)
    assert types == (frames.RUNS, frames.CLAIMS, frames.EVENTS)


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no runs here"):
        api.load(tmp_path)
    with pytest.raises(LabError, match="neither a run"):
        api.load(tmp_path / "none")


def test_without_polars_one_line_says_how_to_install_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "polars" else found(name)
    )
    with pytest.raises(LabError, match=r"-m pip install polars"):
        api.load(run)


def test_the_page_has_every_column_and_no_other() -> None:
    page = (PROJECT / "docs" / "data-frames.md").read_text()
    for name in ("runs", "claims", "events", "messages", "values"):
        section = page.partition(f"## `{name}`")[2].partition("\n## ")[0]
        cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
        listed = [column for cell in cells for column in re.findall(r"`(\w+)`", cell)]
        schema: pl.Schema = getattr(frames, name.upper())
        assert sorted(listed) == sorted(schema), name


def test_other_libraries_can_take_the_frames(run: Path) -> None:
    """The interface through which DuckDB, pandas and Arrow take them."""
    for frame in (api.load(run).runs, api.load(run).messages.collect()):
        assert hasattr(frame, "__arrow_c_stream__")


def test_the_notebook_gives_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOK.parent)
    shown = json.loads(NOTEBOOK.read_text())
    executed = runpy.run_path(str(NOTEBOOK.with_name("run_notebook.py")))["executed"](shown)
    assert executed == shown
    sources = ["".join(c["source"]) for c in shown["cells"] if c["cell_type"] == "code"]
    assert sum(bool(line.strip()) for s in sources for line in s.splitlines()) == 10
    assert all(cell["outputs"] for cell in executed["cells"] if cell["cell_type"] == "code")
