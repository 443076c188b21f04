"""`fab compare --runs FOLDER`: the runs of many beside each other; what is bad stops nothing."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_runs
import pytest
from command import fab

from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import lines
from pushpull.analysis.many_runs import Entry, tables
from pushpull.analysis.quantities import in_short, quantities
from pushpull.cli import compare_many, lab_by_hand
from pushpull.core.errors import ExitCode
from pushpull.engine import judge
from pushpull.engine.experiment import Experiment
from pushpull.experiments import catalogue, fingerprint, implementations
from pushpull.report import many_runs_page
from pushpull.report.many_runs_text import letter, print_tables
from pushpull.runs import bundle, records_file, store
from pushpull.runs.collection import Source

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that a real one has: records.jsonl, and the hashes of what judged it."""
    path = made_runs.with_a_loss(tmp_path_factory.mktemp("made") / "runs")
    records_file.write(store.load(path))
    code = fingerprint.of_run(catalogue.load("kill_worker"), implementations.chosen(""))
    rewrite(
        path / "run.json",
        lambda about: about.update(code=code, call="0123", started=made_runs.START),
    )
    return path


def rewrite(file: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    if isinstance(content, dict):
        content.pop("sums", None)  # as of a forger who thinks of them
    file.write_text(json.dumps(content))


def hand_in(run: Path, folder: Path, name: str, *changes: Change) -> Path:
    """Put a bundle of a changed copy of a run into a folder of its owner's."""
    copy = Path(shutil.copytree(run, folder.parent / "copies" / name / run.name))
    rewrite(copy / "run.json", lambda about: about.update(call=name))
    for change in changes:
        change(copy)
    (folder / name).mkdir(parents=True)
    return bundle.pack(copy, folder / name)


def other_kernel(copy: Path) -> None:
    rewrite(copy / "run.json", lambda about: about["environment"].update(kernel="5.10"))


def lost_later(copy: Path) -> None:
    """A run in which a message that was sent after the kill arrived nowhere."""
    for log in copy.glob("pull-2/pull.log"):
        content = log.read_bytes()
        line = re.search(rb"^9 , [0-9.]+\n", content, re.MULTILINE)
        assert line is not None
        log.write_bytes(content.replace(line[0], b"x" * (len(line[0]) - 1) + b"\n"))
    stored = store.load(copy)
    records_file.write(stored)
    verdicts = judge.judge(stored, catalogue.load("kill_worker"), partial=False)
    (copy / "verdicts.json").write_text(json.dumps(verdicts))


def forged_verdict(copy: Path) -> None:
    rewrite(copy / "verdicts.json", lambda found: found[0].update(verdict="refuted"))


def forged_records(copy: Path) -> None:
    file = copy / "records.jsonl"
    file.write_text(file.read_text().replace('"text": "7"', '"text": "70"'))


def forged_log(copy: Path) -> None:
    log = copy / "push" / "push.log"
    log.write_bytes(log.read_bytes().replace(b"7\n", b"6\n"))


def cut_log(copy: Path) -> None:
    log = copy / "push" / "push.log"
    log.write_bytes(log.read_bytes()[:-2])


def by_older_code(copy: Path) -> None:
    rewrite(copy / "run.json", lambda about: about["code"].update(lab="older"))
    rewrite(copy / "run.json", lambda about: about["environment"].update(lab="0.0.1"))
    forged_verdict(copy)


def test_a_class_of_many(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "handed-in"
    for number in range(8):
        hand_in(run, folder, f"student-{number}")
    hand_in(run, folder, "kernel", other_kernel)
    hand_in(run, folder, "loss", lost_later)
    hand_in(run, folder, "older", by_older_code)
    (folder / "again").mkdir()
    shutil.copy(next((folder / "loss").iterdir()), folder / "again")
    done = fab("compare", "--runs", folder)
    assert done.returncode == ExitCode.UNEXPECTED, done.stdout + done.stderr
    assert "kill_worker: 12 runs" in done.stdout
    lines = done.stdout.splitlines()
    rows = {line.split()[-1].partition("/")[0]: k for k, line in enumerate(lines) if "/2" in line}
    assert lines[rows["student-3"]].split()[:3] == ["✓", "✓", "✓"]
    assert lines[rows["loss"]].split()[:3] == ["✗", "✗", "✓"]
    assert "differs: a refuted, b refuted" in lines[rows["loss"] + 1]
    assert "kernel 5.10" in lines[rows["kernel"] + 1]
    assert "lab 0.0.1" in lines[rows["older"] + 1]
    assert "judged again" in lines[rows["older"] + 2]
    assert "the same run as again/" in done.stdout
    assert "12 runs: 4 verdicts differ from those of most" in done.stdout
    page = (folder / "compared.html").read_text()
    assert page.count('<th scope="row">') == 12
    assert page.count("<b>differs</b>") == 4
    assert "kernel 5.10" in page


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (forged_verdict, "its verdict on kill_worker.survivor_gets_the_rest is not what"),
        (forged_records, "line .* of records.jsonl is not what the logs have"),
        (forged_log, "line .* of records.jsonl is not what the logs have"),
    ],
)
def test_a_changed_run_is_left_out(
    run: Path, tmp_path: Path, change: Change, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "handed-in"
    for name in ("a", "b"):
        hand_in(run, folder, name)
    hand_in(run, folder, "forger", change)
    assert compare_many.compare(folder) == ExitCode.MISTAKE
    said = " ".join(capsys.readouterr().out.split())
    assert "kill_worker: 2 runs" in said
    assert re.search(rf"1 run left out: forger/\S+: it was changed after the run: {reason}", said)
    assert "changed after the run" in (folder / "compared.html").read_text()


@pytest.mark.slow
def test_two_bundles_beside_each_other(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = hand_in(run, tmp_path / "in", "one")
    other = hand_in(run, tmp_path / "in", "other", lost_later)
    runs = tmp_path / "runs"
    assert lab_by_hand.compare_runs(runs, str(one), str(one)) == ExitCode.EXPECTED
    assert lab_by_hand.compare_runs(runs, str(one), str(other)) == ExitCode.UNEXPECTED
    assert lab_by_hand.compare_machines(runs, str(other)) == ExitCode.EXPECTED
    (page,) = (
        file
        for file in one.parent.glob("*.html")
        if other.name.removesuffix(bundle.ENDING).lower() in file.name
    )
    assert f"page:  {page}" in capsys.readouterr().out
    assert not runs.exists()


def test_values_stand_below_a_run(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / run.name))
    reads = lines(received={"pull": r"(?P<number>\d+) , (?P<sent_s>.*)"})
    measured = in_short(quantities(Run(store.load(copy), reads).values))
    (table,) = tables([replace(entry("a", "holds"), values=measured), entry("b", "holds")])
    file = io.StringIO()
    print_tables([table], [], file=file)
    assert re.search(r"a\n +sent_s: median [\d.,e+]+ s, p99 [\d.,e+]+ s\n.* b\n", file.getvalue())
    page = many_runs_page.page([table], [])
    assert page.count("sent_s: median") == 1


def test_what_is_no_run_is_left_out(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "handed-in"
    good = hand_in(run, folder, "good")
    (folder / "note.txt").write_text("of no interest")
    (folder / "photo.zip").write_bytes(b"PK\x03\x04 and so on")
    (folder / "torn.run.tar.gz").write_bytes(good.read_bytes()[:200])
    (folder / "renamed.tar.gz").write_bytes(good.read_bytes())
    os.mkfifo(folder / "pipe.run.tar.gz")
    cut = Path(shutil.copytree(run, folder / "cut" / run.name))
    cut_log(cut)
    rewrite(cut / "run.json", lambda about: about.update(format=2))
    assert compare_many.compare(folder) == ExitCode.MISTAKE
    said = " ".join(capsys.readouterr().out.split())
    assert "4 runs left out" in said
    assert "photo.zip: this is not a packed run: its compression is damaged" in said
    assert "torn: this is not a packed run" in said
    assert "pipe: This is not a plain file" in said
    assert re.search(r"cut/\S+: push/push.log: This log has", said)
    assert "kill_worker: 2 runs" in said
    assert "the same run as good/" in said
    assert not list(folder.rglob("*Z-*.html"))


def test_a_run_that_no_judge_expects_stops_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(run, tmp_path / "handed-in", "good")
    hand_in(run, tmp_path / "handed-in", "odd")
    entry_of = compare_many._entry

    def failing(source: Source, given: Experiment | None) -> Entry:
        if "odd" in source.name:
            raise KeyError("a bug of a judge")
        return entry_of(source, given)

    monkeypatch.setattr(compare_many, "_entry", failing)
    assert compare_many.compare(tmp_path / "handed-in") == ExitCode.MISTAKE
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"1 run left out: odd/\S+: judging it fails: KeyError", said)
    assert "kill_worker: 1 run" in said


def test_an_own_experiment_is_not_executed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def carries_code(copy: Path) -> None:
        (copy / "_experiment").mkdir()
        (copy / "_experiment" / "experiment.py").write_text(
            f"from pathlib import Path\nPath({str(tmp_path / 'executed')!r}).touch()\n"
        )
        code = {"experiment": fingerprint.carried(copy)}
        rewrite(copy / "run.json", lambda about: about["code"].update(code))

    hand_in(run, tmp_path / "handed-in", "own", carries_code)
    assert compare_many.compare(tmp_path / "handed-in") == ExitCode.EXPECTED
    assert "verdicts as handed in" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "executed").exists()


OWN = '''"""Mine."""
from pushpull.api import Verdict, claim, experiment

@experiment(source="a test")
def mine(lab): ...

@claim("Twelve messages are sent.")
def all_sent(run):
    lines = [r for r in run.records if r.machine == "push" and r.stream == "stdout"]
    return (Verdict.holds if len(lines) == 12 else Verdict.refuted)(f"{len(lines)} were.")
'''


@pytest.fixture
def own(run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """An experiment of the user's own, and a run that it made."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "experiment.py").write_text(OWN)
    made = Path(shutil.copytree(run, tmp_path / run.name.replace("kill_worker", "mine")))
    of_experiment(made, folder)
    return folder, made


def of_experiment(made: Path, folder: Path) -> None:
    """Let a run be one of the experiment in a folder."""
    experiment = catalogue.load(str(folder))
    shutil.rmtree(made / "_experiment", ignore_errors=True)
    for name, file in catalogue.own_files(experiment).items():
        (made / "_experiment").mkdir(exist_ok=True)
        shutil.copy(file, made / "_experiment" / name)
    code = fingerprint.code(experiment)
    rewrite(made / "run.json", lambda about: about["code"].update(code))
    rewrite(made / "run.json", lambda about: about.update(experiment="mine"))
    verdicts = judge.judge(store.load(made), experiment, partial=False)
    (made / "verdicts.json").write_text(json.dumps(verdicts))


def by_an_edited_program(copy: Path) -> None:
    rewrite(copy / "run.json", lambda about: about["code"].update(programs="edited"))


def test_twenty_authors(run: Path, tmp_path: Path) -> None:
    """All began in the same second; one changed the run, one the code that made it."""
    folder = tmp_path / "handed-in"
    changes = {7: forged_records, 13: by_an_edited_program}
    packed = [
        hand_in(run, folder, f"author-{k}", *[change for at, change in changes.items() if at == k])
        for k in range(20)
    ]
    assert len({file.name for file in packed}) == 20
    for file in packed:  # all in one folder
        file.rename(folder / file.name)
    done = fab("compare", "--runs", folder)
    assert done.returncode == ExitCode.MISTAKE, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "kill_worker: 19 runs" in said
    name = packed[7].name.removesuffix(bundle.ENDING)
    assert f"1 run left out: {name}: it was changed after the run: line" in said
    assert "no verdicts differ from those of most; 1 run by edited code" in said
    (row,) = re.findall(r"(\S+) made by edited code: the lab's programs", said)
    assert row == packed[13].name.removesuffix(bundle.ENDING)
    assert said.count("made by edited code") == 1
    assert "made by edited code: the lab's programs" in " ".join(
        (folder / "compared.html").read_text().replace("&#39;", "'").split()
    )


def test_runs_of_ones_own_experiment_are_judged_by_it_if_named(
    own: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teachers, made = own

    def by_edited_claims(copy: Path) -> None:
        edited = tmp_path / "edited" / "mine"
        edited.mkdir(parents=True)
        (edited / "experiment.py").write_text(OWN.replace("== 12", "== 13"))
        of_experiment(copy, edited)

    def exchanged(copy: Path) -> None:
        (copy / "_experiment" / "experiment.py").write_text(OWN + "# and more")

    hand_in(made, tmp_path / "handed-in", "ann")
    hand_in(made, tmp_path / "handed-in", "ben")
    hand_in(made, tmp_path / "handed-in", "editor", by_edited_claims)
    assert compare_many.compare(tmp_path / "handed-in", str(teachers)) == ExitCode.UNEXPECTED
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"✓ editor/\S+ made by edited code: the experiment own code", said)
    assert said.count("made by edited code") == 1
    compare_many.compare(tmp_path / "handed-in")  # unnamed: none is executed, one is unlike most
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"✗ editor/\S+ differs: a refuted own code", said)
    hand_in(made, tmp_path / "handed-in", "forger", forged_verdict)
    hand_in(made, tmp_path / "handed-in", "exchanger", exchanged)
    assert compare_many.compare(tmp_path / "handed-in", str(teachers)) == ExitCode.MISTAKE
    said = " ".join(capsys.readouterr().out.split())
    assert "its verdict on mine.all_sent is not what its records give" in said
    assert "the experiment that it carries is not the one that ran" in said


def test_a_folder_of_own_runs_is_shown_as_before(run: Path) -> None:
    done = fab("compare", "--runs", run.parent)
    assert done.returncode == ExitCode.EXPECTED
    assert "push" in done.stdout
    assert not (run.parent / "compared.html").exists()


def entry(name: str, *outcomes: str, by_chance: bool = False, **facts: str) -> Entry:
    verdicts = [
        {"id": f"x.{k}", "statement": f"{k}", "verdict": outcome, "expected": "holds",
         "by_chance": by_chance}
        for k, outcome in enumerate(outcomes)
    ]  # fmt: skip
    return Entry(name=name, title="x", facts=facts, verdicts=verdicts, notes=(), identity=(name,))


def test_the_verdict_of_most_is_usual_and_of_as_many_the_expected_one() -> None:
    (table,) = tables([entry("a", "refuted", "holds"), entry("b", "holds", "holds"), entry("c")])
    assert [claim.usual for claim in table.claims] == ["holds", "holds"]
    marked = [[cell.differs for cell in row.cells] for row in table.rows]
    assert marked == [[True, False], [False, False], [True, True]]
    assert table.differing == 3


def test_chance_is_no_difference_that_counts() -> None:
    (table,) = tables(
        [entry("a", "holds"), entry("b", "holds"), entry("c", "not observed", by_chance=True)]
    )
    assert table.differing == 0
    assert table.rows[2].cells[0].differs


def test_hostile_names_are_harmless_on_the_screen() -> None:
    file = io.StringIO()
    print_tables(tables([entry("\x1b[31m", "holds", kernel="\x1b]0;x\x07")]), [("\x1b", "\x1b")],
                 file=file)  # fmt: skip
    assert "\x1b" not in file.getvalue()


def test_letters_of_columns() -> None:
    assert [letter(k) for k in (0, 25, 26, 27, 51, 52, 701, 702)] == [
        "a", "z", "aa", "ab", "az", "ba", "zz", "aaa",
    ]  # fmt: skip
