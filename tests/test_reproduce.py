"""`fab reproduce`: which rows of an author's table the runs reproduce."""

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import made_runs
import pytest
from command import PROJECT, fab

from pushpull.analysis.campaign import Cell
from pushpull.analysis.proportion import Proportion
from pushpull.analysis.reproduction import Progress, Published, Result, Row
from pushpull.cli import published_table, reproduce
from pushpull.cli.call import Call, quick_call
from pushpull.cli.sweep_pool import Done, Pool
from pushpull.cli.sweep_worker import Answer
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.verdict import Need
from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.runs import store

MODULE = '''"""A line with the interval."""

from pushpull.api import Verdict, claim, experiment, printed


@experiment(source="a test", takes=60)
def tiny(lab):
    lab.start("hello", on="pusher").wait()


@claim("It prints a line.")
def prints(run):
    return Verdict.holds("yes") if list(printed(run, "hello")) else Verdict.refuted("no")


@claim("It prints none.")
def prints_none(run):
    return Verdict.refuted("it does")


@claim("It never comes up.")
def never_comes_up(run):
    return Verdict.not_observed("it did not")
'''
TABLE = """\
source: a test
rows:
  - {experiment: tiny, claim: prints, published: most}
  - {experiment: tiny, claim: prints_none, published: most, runs: 20}
  - {experiment: tiny, claim: prints_none, published: 0/100, within: 0.5, parameters: {count: 3}}
  - {experiment: tiny, claim: never_comes_up, published: always, runs: 2}
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table about an experiment of a user's, beside it."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "experiment.py").write_text(MODULE)
    (folder / "hello.sh").write_text("#!/bin/sh\necho hello\n")
    file = tmp_path / "table.yaml"
    file.write_text(TABLE)
    return file


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    path = Path(shutil.copy(PROJECT / "inventory.yaml", tmp_path))
    yield path
    shutil.rmtree(lab_folder.folder("namespaces", load(path)), ignore_errors=True)


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return quick_call("namespaces", str(PROJECT / "inventory.yaml"), tmp_path / "runs")


@pytest.mark.slow
def test_a_table_is_decided_and_a_second_call_makes_no_run(table: Path, inventory: Path) -> None:
    flags = ("reproduce", "--file", table, "--provider", "namespaces", "--inventory", inventory)
    runs, found, junit = (table.parent / name for name in ("runs", "found.json", "junit.xml"))
    files = ("--runs", runs, "--json", found, "--junit", junit)
    done = fab(*flags, *files)
    assert done.returncode == ExitCode.UNEXPECTED, done.stdout + done.stderr
    rows = json.loads(found.read_text())["rows"]
    assert [row["result"] for row in rows] == [
        "reproduced", "not reproduced", "reproduced", "can't tell",
    ]  # fmt: skip
    assert (rows[0]["held"], rows[1]["held"], rows[3]["runs"]) == (rows[0]["runs"], 0, 0)
    assert rows[0]["interval"][0] > 0.5
    assert set(rows[0]["run_directories"]) < {path.name for path in runs.glob("*Z-*")}
    assert "4 rows: 2 reproduced, 1 not reproduced, 1 can't tell" in done.stdout
    assert "never exercised in" in done.stdout
    (suite,) = ElementTree.parse(junit).getroot()
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["4", "1", "1"]
    made = len(list(runs.glob("*Z-*")))
    again = fab(*flags, *files)
    assert again.stdout.partition("\n✓")[2] == done.stdout.partition("\n✓")[2]
    assert len(list(runs.glob("*Z-*"))) == made
    counts = {run.description["parameters"]["count"] for run in map(store.load, runs.glob("*Z-*"))}
    assert counts == {3, 20}


@pytest.mark.slow
def test_a_run_that_fails_ends_its_row(table: Path, inventory: Path) -> None:
    (table.parent / "tiny" / "hello.sh").write_text("no interpreter\n")
    table.write_text("rows:\n  - {experiment: tiny, claim: prints, published: always}\n")
    flags = ("--provider", "namespaces", "--inventory", inventory, "--at-once", 1)
    done = fab("reproduce", "--file", table, *flags, "--runs", table.parent / "runs")
    assert done.returncode == ExitCode.MISTAKE, done.stdout + done.stderr
    assert done.stdout.count("its first line names no interpreter") == 3
    assert "1 can't tell" in done.stdout


def test_a_failure_that_was_made_up_for_does_not_count(
    table: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker process that was killed is no result, and ends nothing."""
    table.write_text("rows:\n  - {experiment: tiny, claim: prints, published: most}\n")
    died = Answer(code=ExitCode.INTERRUPTED, said="its process was killed", failed=True)
    answers = (made_answer(table.parent, k) for k in itertools.count())
    made = itertools.chain([died], itertools.islice(answers, 6), [died], answers)

    def results(self: object, todo: Iterator[tuple[int, Cell]]) -> Iterator[Done]:
        for number, cell in todo:
            yield Done(number=number, cell=cell, answer=next(made))

    monkeypatch.setattr(Pool, "results", results)
    code = reproduce.run(call, table, at_once=1, json=None, junit=None)
    said = capsys.readouterr().out
    assert code == ExitCode.EXPECTED, said
    assert said.count("its process was killed") == 2
    assert "held in 7 of 7 runs" in said


def made_answer(folder: Path, number: int) -> Answer:
    """Return the answer of a worker that made a run in which all claims hold."""
    run = made_runs.with_a_loss(folder / f"made-{number}")
    verdicts = json.loads((run / "verdicts.json").read_text())
    (run / "verdicts.json").write_text(json.dumps([verdicts[0] | {"id": "tiny.prints"}]))
    return Answer(code=ExitCode.EXPECTED, directory=str(run))


def test_the_table_of_the_article_is_valid(call: Call) -> None:
    rows = published_table.read(PROJECT / "docs" / "article.yaml", call)
    assert {row.experiment for row in rows} == {
        "round_robin", "kill_worker", "rejoin_worker", "return_worker",
    }  # fmt: skip
    assert all(row.published.need is Need.ALWAYS for row in rows)
    assert {row.cell.settings for row in rows} == {(("interval", "0.05"),), (("interval", "0.1"),)}


def test_the_same_table_as_csv(call: Call, tmp_path: Path) -> None:
    yaml, csv = tmp_path / "a.yaml", tmp_path / "a.csv"
    yaml.write_text(
        "rows:\n- experiment: kill_worker\n  claim: nothing_comes_twice\n  published: 97%\n"
        "  parameters: {interval: 0.1, SNDHWM: 5}\n  within: 0.05\n  runs: 50\n"
    )
    csv.write_text(
        "experiment,parameters,claim,published,within,runs\r\n"
        "kill_worker,interval=0.1 SNDHWM=5,nothing_comes_twice,97%,0.05,50\r\n"
    )
    (one,), (other,) = (published_table.read(file, call) for file in (yaml, csv))
    assert (one.cell, one.claim, one.published, one.runs) == (
        other.cell, other.claim, other.published, other.runs,
    )  # fmt: skip
    assert one.published == Published("97%", None, 0.97, 0.05)
    assert one.cell.settings == (("interval", "0.1"), ("SNDHWM", "5"))


GOOD = "experiment: kill_worker, claim: nothing_comes_twice, published: always"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: the file is empty - give it `rows:`"),
        ("rows: 7", "1: `rows:` is not a list of 1 to 1,000"),
        ("rows: []", "1: `rows:` is not a list"),
        ("rows: [x]", "1: this row has no keys"),
        (f"title: x\nrows: [{{{GOOD}}}]", "1: there is no key 'title'"),
        ("rows: [{claim: x, published: always}]", "1: `experiment` is missing"),
        ("rows: [{experiment: kill_worker, published: most}]", "1: `claim` is missing"),
        (f"rows: [{{{GOOD}, publisher: x}}]", "there is no key 'publisher' - did you mean 'publ"),
        ("rows:\n- {experiment: kil_worker, claim: x, published: always}", "2: there is no exp"),
        ("rows: [{experiment: kill_worker, claim: nothing_twice, published: 1}]",
         "has no claim 'nothing_twice' - did you mean 'nothing_comes_twice'?"),
        (f"rows: [{{{GOOD.replace('always', 'often')}}}]", "`published` is 'often' - give always"),
        (f"rows: [{{{GOOD.replace('always', '1.2')}}}]", "`published` is '1.2'"),
        (f"rows: [{{{GOOD.replace('always', '7/5')}}}]", "`published` is '7/5'"),
        (f"rows: [{{{GOOD.replace('always', '1/0')}}}]", "`published` is '1/0'"),
        (f"rows: [{{{GOOD}, within: 0}}]", "`within` is '0' - give 0.01 to 0.5"),
        (f"rows: [{{{GOOD}, runs: many}}]", "`runs` is 'many' - give a whole number"),
        (f"rows: [{{{GOOD}, parameters: {{interval: fast}}}}]", "invalid interval 'fast'"),
        (f"rows: [{{{GOOD}, parameters: {{colour: red}}}}]", "has no parameter 'colour'"),
        (f"rows: [{{{GOOD}, parameters: 3}}]", "`parameters` has no keys"),
        (f"rows: [{{{GOOD}, claim: x}}]", "the key 'claim' occurs twice"),
        (f"rows:\n- {{{GOOD}}}\n- {{{GOOD}}}", "3: this is the same as line 2"),
        ("rows: [{experiment: ways_to_leave, claim: x, published: most}]", "several variants"),
        (f"rows: [&a {{{GOOD}}}, *a]", "the alias 'a' is not allowed here"),
        (f"rows: [{{{GOOD}, claim: [x]}}]", "'claim' is not a single value"),
    ],
)  # fmt: skip
def test_each_mistake_has_one_message(call: Call, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "table.yaml"
    file.write_text(text)
    with pytest.raises(LabError) as error:
        published_table.read(file, call)
    assert said in str(error.value)
    assert f"{file}:" in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there are not 1 to 1,000 rows"),
        ("experiment,claim,published\nkill_worker,x\n", "2: 2 values for 3 columns"),
        ('experiment,claim,published\n"kill_worker,x,1\n', "this is not CSV"),
        ("experiment,claim,published,parameters\nkill_worker,nothing_comes_twice,1,fast\n",
         "2: 'fast' is no parameter"),
    ],
)  # fmt: skip
def test_mistakes_in_csv(call: Call, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(LabError, match=re.escape(said)):
        published_table.read(file, call)


def test_all_mistakes_are_named_at_once(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "table.yaml"
    file.write_text("rows:\n- {experiment: nobody, claim: x, published: 2}\n- {published: 3}\n")
    with pytest.raises(LabError) as error:
        published_table.read(file, call)
    lines = [int(line.split(":")[1]) for line in str(error.value).splitlines()]
    assert lines == [2, 2, 3, 3, 3]


def test_a_file_that_is_no_table(call: Call, tmp_path: Path) -> None:
    for name in ("none.yaml", "article.txt"):
        with pytest.raises(LabError, match=name):
            published_table.read(tmp_path / name, call)


@pytest.mark.parametrize(
    ("published", "held", "runs", "result"),
    [
        (0.9, 0, 0, Result.UNDECIDED),
        (0.9, 90, 100, Result.UNDECIDED),
        (0.9, 900, 1000, Result.REPRODUCED),
        (0.9, 500, 1000, Result.NOT_REPRODUCED),
        (0.5, 1000, 1000, Result.NOT_REPRODUCED),
        (1.0, 200, 200, Result.REPRODUCED),
        (0.0, 0, 200, Result.REPRODUCED),
    ],
)
def test_a_published_proportion(published: float, held: int, runs: int, result: Result) -> None:
    assert Published("x", None, published, 0.1).agrees(Proportion(held, runs)) is result


def test_a_row_counts_its_own_claim_alone() -> None:
    row = Row(
        line=1, experiment="x", cell=Cell(""), claim="b", statement="", runs=9,
        published=Published("most", Need.MOST, None, 0.1),
    )  # fmt: skip
    progress = Progress(row)
    verdicts: list[dict[str, Any]] = [
        {"id": "x.a", "verdict": "refuted"},
        {"id": "x.b", "verdict": "holds"},
    ]
    for number in range(6):
        assert progress.wants_more
        progress.add(verdicts, f"run-{number}")
    progress.add([{"id": "x.b", "verdict": "not observed"}], "run-6")
    assert progress.proportion == Proportion(6, 6)
    progress.add(verdicts, "run-7")
    assert progress.result is Result.REPRODUCED
    assert not progress.wants_more
