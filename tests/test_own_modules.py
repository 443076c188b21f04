"""The modules of a user's experiment, its name, and its mistakes."""

import os
import shutil
import sys
from pathlib import Path

import command
import pytest
from made_runs import with_a_loss
from own_folder import SHELL, run

from pushpull.cli import lab_by_hand, show
from pushpull.core.errors import LabError
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue, run_here, user_folder
from pushpull.experiments.implementations import Choice
from pushpull.runs import store
from pushpull.runs.directory import describe

# -- whose module is imported --------------------------------------------------------------------


def test_no_file_of_the_user_replaces_a_module_of_the_harness(folder: Path) -> None:
    """Each of these is a program: imported by the harness, it would fail, or do something."""
    for name in ("statistics", "secrets", "json", "numbers", "catalogue", "records", "zmq"):
        (folder / f"{name}.py").write_text("raise RuntimeError('it was imported')\n")
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "page:" in ran.stdout


def test_only_the_experiment_imports_its_own_modules(folder: Path) -> None:
    (folder / "helpers").mkdir()  # without an __init__.py
    (folder / "helpers" / "judge.py").write_text("from . import limits\nok = limits.ok\n")
    (folder / "helpers" / "limits.py").write_text("import words\nok = words.ok\n")
    (folder / "words.py").write_text("import statistics\nok = statistics.mean([1, 1]) == 1\n")
    (folder / "statistics.py").write_text("raise RuntimeError('a program')\n")
    (folder / "late.py").write_text("yes = True\n")
    module = folder / "experiment.py"
    module.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + module.read_text().partition("\n")[2]
        + "\nfrom helpers.judge import ok\nimport helpers.limits, words\n"
        "assert helpers.limits.words is words\n"
        "@dataclass\nclass Both:\n    one: bool\n"
        "@claim('Late.')\ndef late_too(run: Run) -> Verdict:\n"
        "    import late\n    return Verdict.holds(str(Both(late.yes and ok)))\n"
    )
    path, modules = list(sys.path), set(sys.modules)
    experiment = catalogue.load(str(folder))
    assert sys.path == path
    assert not {"helpers", "words", "late", "experiment"} & (set(sys.modules) - modules)
    (late,) = (claim for claim in experiment.claims if claim.id == "late_too")
    assert "one=True" in late.judge(None).why  # type: ignore[arg-type]
    assert not list(folder.rglob("__pycache__"))


def test_a_module_that_is_hidden_by_pythons_own_is_reported(folder: Path) -> None:
    (folder / "statistics.py").write_text("def mine(): ...\n")
    module = folder / "experiment.py"
    module.write_text("from statistics import mine\n" + module.read_text())
    with pytest.raises(LabError, match="mine") as caught:
        catalogue.load(str(folder))
    assert "from . import statistics" in caught.value.hint
    module.write_text("from . import statistics as s\ns.mine()\n" + module.read_text()[28:])
    catalogue.load(str(folder))


# -- what an experiment is, and is called --------------------------------------------------------


def test_an_experiment_has_one_name_however_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for named in (".", "experiment.py", "../mine", "../mine/experiment.py", str(folder)):
        assert catalogue.load(named).name == "mine"


def test_a_path_may_have_colons(tmp_path: Path, folder: Path) -> None:
    odd = shutil.copytree(folder, tmp_path / "at 12:30" / "mine")
    module = (odd / "experiment.py").read_text()
    (odd / "experiment.py").write_text(module.replace("count=3", "count=3, variants=('a', 'b')"))
    assert catalogue.load(str(odd)).variants == ("a", "b")
    assert catalogue.load(f"{odd}:b").variants == ("b",)
    with pytest.raises(LabError, match="12:30/nothing'"):
        catalogue.load(str(tmp_path / "at 12:30" / "nothing"))


def test_a_name_of_the_labs_own_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LabError, match="already has an experiment"):
        user_folder.create(tmp_path / "kill-worker", catalogue.names())
    shutil.copytree(folder, tmp_path / "kill_worker")
    monkeypatch.chdir(tmp_path)
    for named in ("kill_worker", "./kill_worker"):
        with pytest.raises(LabError, match="already has an experiment"):
            catalogue.load(named)


def test_a_single_file_imports_nothing_from_its_folder(folder: Path) -> None:
    alone = folder / "try.py"
    alone.write_text((folder / "experiment.py").read_text())
    experiment = catalogue.load(str(alone))
    assert experiment.name == "try"
    assert experiment.folder is None
    assert catalogue.own_files(experiment) == {"experiment.py": alone}
    assert "count" not in catalogue.programs(experiment, Choice())
    (folder / "words.py").write_text("")
    alone.write_text("import words\n" + alone.read_text())
    with pytest.raises(LabError, match="words") as caught:
        catalogue.load(str(alone))
    assert "call this file experiment.py" in caught.value.hint


def test_which_files_are_deployed(folder: Path, tmp_path: Path) -> None:
    left_out = ("runs/x", "venv/x", ".venv/x", "web/node_modules/x", "a/__pycache__/x", ".env",
                "env/pyvenv.cfg", "env/lib/x", "out/20261124T061026Z-mine/run.json")  # fmt: skip
    for name in (*left_out, "data/deep/x", "data/runs/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "big").write_text("x")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "link").symlink_to(tmp_path / "elsewhere" / "big")
    (folder / "data" / "up").symlink_to(folder)
    (folder / "out" / "latest").symlink_to("20261124T061026Z-mine")
    os.mkfifo(folder / "pipe")
    found = user_folder.files(folder)
    assert list(found) == ["count.sh", "data/deep/x", "data/runs/x", "link", "linked/big"]


def test_too_many_files_are_reported_before_anything_runs(folder: Path) -> None:
    (folder / "data").mkdir()
    with (folder / "data" / "big").open("wb") as sparse:
        sparse.truncate(101 * 1024**2)
    with pytest.raises(LabError, match="'data' is the largest"):
        user_folder.files(folder)


@pytest.mark.slow
def test_a_run_is_judged_as_before_here_and_elsewhere(folder: Path, tmp_path: Path) -> None:
    (folder / "helpers").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "count.txt").write_text("3")
    (folder / "helpers" / "expected.py").write_text(
        "from pathlib import Path\n"
        "LAST = int((Path(__file__).parent.parent / 'data/count.txt').read_text())\n"
    )
    module = folder / "experiment.py"
    module.write_text(
        module.read_text().replace("len(run.planned)", "LAST")
        + "\nfrom helpers.expected import LAST\n"
    )
    assert run(folder).returncode == 0
    here, elsewhere = folder.parent / "runs", tmp_path / "elsewhere"
    again = command.fab("report", "--judge", "--runs", here)
    assert "\nsame verdicts as before\n" in again.stdout, again.stderr
    assert command.fab("bundle", "--runs", here, cwd=tmp_path).returncode == 0
    (file,) = tmp_path.glob("*-mine-*.run.tar.gz")
    shutil.rmtree(folder)
    again = command.fab("report", "--judge", "--run", file, "--runs", elsewhere)
    assert again.returncode == 0, again.stderr
    assert "\nsame verdicts as before\n" in again.stdout


# -- what the user's code does wrong --------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def reads(record):\n    return 1 / 0\n", "experiment.py:2: ZeroDivisionError"),
        ("def reads(record):\n    raise SystemExit(0)\n", "experiment.py:2: SystemExit"),
        ("def reads(record):\n    return 'x'\n", "instead of a Message"),
    ],
)
def test_a_failing_reader_is_the_users_mistake_wherever_it_is_called(
    tmp_path: Path, code: str, said: str
) -> None:
    path = with_a_loss(tmp_path / "runs")
    folder = tmp_path / "mine"
    folder.mkdir()
    told = "@experiment(source='s', reads=reads)\ndef mine(lab): ...\n"
    head = "from pushpull.api import Verdict, claim, experiment\n"
    (folder / "experiment.py").write_text(code + head + told)
    run_here.remember(folder / "experiment.py")
    description = store.load(path).description
    module = {"experiment": "mine", "module": str(folder / "experiment.py")}
    describe(path, description | module)
    for call in (
        lambda: show.report(path.parent, None, again=False),
        lambda: show.report(path.parent, None, again=True),
        lambda: lab_by_hand.compare_machines(path.parent, None),
    ):
        with pytest.raises(LabError) as caught:
            call()
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "returned", ["holds(3)", "holds('', messages='1')", "holds('', events=[1])"]
)
def test_an_invalid_verdict_is_reported(tmp_path: Path, returned: str) -> None:
    path = with_a_loss(tmp_path / "runs")
    (tmp_path / "experiment.py").write_text(
        "from pushpull.api import Verdict, claim, experiment\n"
        "@experiment(source='s')\ndef mine(lab): ...\n"
        f"@claim('c')\ndef it(run):\n    return Verdict.{returned}\n"
    )
    experiment = catalogue.load(str(tmp_path / "experiment.py"))
    with pytest.raises(LabError, match="a verdict must have") as caught:
        judge(store.load(path), experiment, partial=False)
    assert "experiment.py:4" in caught.value.where


@pytest.mark.parametrize("flag", ["source=3", "source='', count='x'", "source='', variants='ab'"])
def test_a_flag_of_the_wrong_type_is_reported(tmp_path: Path, flag: str) -> None:
    (tmp_path / "experiment.py").write_text(
        f"from pushpull.api import experiment\n@experiment({flag})\ndef mine(lab): ...\n"
    )
    with pytest.raises(LabError, match="wrong type") as caught:
        catalogue.load(str(tmp_path))
    assert "experiment.py:2" in caught.value.where


@pytest.mark.slow
def test_traces_that_no_run_can_store_are_ignored(folder: Path) -> None:
    deep = "[" * 30 + "]" * 30
    odd = ('"t": 1.0, "x": 1e999', '"t": -5.0', '"t": 1e300', f'"t": 1.0, "x": {deep}')
    lines = "\n".join(f'echo \'{{"event": "ready", {rest}}}\' >&2' for rest in odd)
    (folder / "count.sh").write_text(f"{SHELL}{lines}\n")
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
