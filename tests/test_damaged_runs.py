"""Whatever a run directory or a packed run contains: it is read, or refused with one message."""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import command
import pytest
from damage import damage_archive, damage_run
from made_runs import of_format_1, with_a_loss
from quick import rest_slow

from pushpull.cli import lab_by_hand, show
from pushpull.core.errors import LabError
from pushpull.runs import bundle, store

_LONGEST_S = 10  # for one; all 500 take a minute at most
_MOST_GROWTH = 300 * 1024  # KiB
PARTS = [0, *(pytest.param(part, marks=pytest.mark.slow) for part in (1, 2))]  # of 50 each


@pytest.fixture(scope="module", params=rest_slow(["as written now", "of format 1"]))
def whole(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A run as it should be; each case damages a copy."""
    run = with_a_loss(tmp_path_factory.mktemp("whole"))
    if request.param == "of format 1":
        of_format_1(run)
    show.report(run.parent, None, again=False)  # what is made once is made before anything counts
    return run


@contextlib.contextmanager
def watched(whole: Path) -> Iterator[None]:
    """Fail where something hangs, and where memory grows beyond the limit."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"it took longer than {_LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    here = Path.cwd()
    signal.alarm(_LONGEST_S)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + _MOST_GROWTH
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        os.chdir(here)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most
    store.load(whole)


def one_message(error: LabError) -> None:
    assert error.what
    assert error.where
    assert "\x1b" not in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_damaged_run_directories(whole: Path, tmp_path: Path, part: int) -> None:
    read = 0
    for seed in range(part * 50, part * 50 + 50):
        root = tmp_path / str(seed)
        run = root / whole.name
        shutil.copytree(whole, run, ignore=shutil.ignore_patterns("*.html"))
        (root / "latest").symlink_to(run.name)
        random_ = random.Random(seed)
        with watched(whole):
            done = damage_run(random_, run)
            before = {p for p in tmp_path.rglob("*") if run not in p.parents}
            try:
                show.report(root, None, again=seed % 2 == 0)
                lab_by_hand.compare_machines(root, None)
                read += 1
            except LabError as error:
                one_message(error)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {done}") from error
            assert {p for p in tmp_path.rglob("*") if run not in p.parents} == before
        shutil.rmtree(root)
    assert 0 < read < 50  # or the damage is none, or all is refused


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_damaged_archives(whole: Path, tmp_path: Path, part: int) -> None:
    refused = 0
    for seed in range(part * 50, part * 50 + 50):
        random_ = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        file = folder / "a.run.tar.gz"
        with watched(whole):
            done = damage_archive(random_, whole, file)
            try:
                path = bundle.unpack(file, folder / "runs")
                assert path == folder / "runs" / whole.name
                store.load(path)
                assert {p.name for p in (folder / "runs").iterdir()} == {whole.name}
            except LabError as error:
                refused += 1
                one_message(error)
                assert {p.name for p in folder.iterdir()} == {file.name}, "something stayed"
            except Exception as error:
                raise AssertionError(f"seed {seed}: {done}") from error
        shutil.rmtree(folder)
    assert refused > 25


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_damage_as_the_command_reports_it(whole: Path, tmp_path: Path, seed: int) -> None:
    random_ = random.Random(1000 + seed)
    run = tmp_path / "runs" / whole.name
    shutil.copytree(whole, run)
    with watched(whole):
        damage_run(random_, run)
    damage_archive(random_, whole, tmp_path / "a.run.tar.gz")
    for named in (run, tmp_path / "a.run.tar.gz"):
        told = command.fab("report", "--judge", "--run", named, "--runs", tmp_path / "elsewhere")
        assert told.returncode in (0, 1, 2, 3), told.stderr
        assert "Traceback" not in told.stdout + told.stderr
        assert "\x1b" not in told.stdout + told.stderr


def test_escapes_in_a_summary_reach_no_terminal(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / whole.name
    shutil.copytree(whole, run)
    description = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(description | {"summary": "s\x1b]52;c;x\x07"}))
    lab_by_hand.compare_machines(tmp_path, run.name)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b]52" in out


def test_nothing_is_written_through_a_link(whole: Path, tmp_path: Path) -> None:
    """Where a page is made, its new file may be a link that came with the run."""
    run = tmp_path / "runs" / whole.name
    shutil.copytree(whole, run)
    target = tmp_path / "mine"
    target.write_text("mine")
    (run / ".report.html").symlink_to(target)
    with pytest.raises(LabError, match="not a plain file"):
        show.report(run.parent, run.name, again=False)
    assert target.read_text() == "mine"


@pytest.mark.parametrize("inside", [True, False])
def test_a_run_names_no_code_to_execute(whole: Path, tmp_path: Path, inside: bool) -> None:
    """Neither of its own, nor of a file of this computer that the user never ran."""
    run = tmp_path / whole.name
    shutil.copytree(whole, run)
    folder = run / "_experiment" if inside else tmp_path / "of-the-user"
    folder.mkdir()
    code = "from pathlib import Path\nPath(__file__).with_name('was-run').touch()\n# experiment("
    (folder / "experiment.py").write_text(code)
    description = json.loads((run / "run.json").read_text())
    module = {"experiment": "mine", "module": str(folder / "experiment.py")}
    (run / "run.json").write_text(json.dumps(description | module))
    show.report(tmp_path, run.name, again=False)
    lab_by_hand.compare_machines(tmp_path, run.name)
    assert not (folder / "was-run").exists()
