"""A run in a lab that is kept up is made where all is imported already, and differs in nothing."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import command
import pytest
from command import FAB, PROJECT, only_run, started, verdicts
from leftovers import ended_within, is_alive
from own_folder import HEAD
from waiting import until

from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.runs import store

LIMIT_S = 30
fab = functools.partial(command.fab, within=["env"])  # from nothing, as a user's call
LAST = "pushpull.cli.kept_warm"  # of the imports before the call, but for one
WHERE = (
    "import os, sys\n"
    + HEAD
    + """
@experiment(source="mine")
def mine(lab: Lab) -> None:
    lab.start("say", on="puller").wait()


@claim("It says where it is.")
def where(run: Run) -> Verdict:
    return Verdict.holds(" ".join([str(os.getppid()), os.getcwd(), *sys.argv[1:3]]))
"""
)
FLAGS = ("--provider", "namespaces", "--inventory")


@contextlib.contextmanager
def _like_a_user() -> Iterator[None]:
    """Let calls have the same environment: pytest changes it for each part of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)
        yield


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The inventory of a lab that is up, beside which the process serves."""
    inventory = Path(shutil.copy(PROJECT / "inventory.yaml", tmp_path_factory.mktemp("up")))
    with _like_a_user():
        assert fab("up", *FLAGS, inventory).returncode == 0
    folder = lab_folder.folder("namespaces", load(inventory))
    until(lambda: (folder / "warm").exists(), LIMIT_S)
    yield inventory
    assert fab("down", *FLAGS, inventory).returncode == 0
    assert not (folder / "warm").exists()
    assert _server(folder) is None
    shutil.rmtree(folder)


def _server(folder: Path) -> int | None:
    """Return the id of the process that serves beside a lab."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if b"pushpull.cli.warm_process" in words and os.fsencode(folder) in words:
            return int(each.parent.name)
    return None


def _own(tmp_path: Path, program: str = "echo 1") -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    (made / "experiment.py").write_text(WHERE)
    (made / "say.sh").write_text(f"#!/bin/sh\n{program}\n")
    return made


def _call(up: Path, tmp_path: Path, own: Path) -> list[object]:
    return ["run-experiment", "--experiment", own, *FLAGS, up, "--runs", tmp_path / "runs"]


def _said(run: Path) -> list[str]:
    (verdict,) = verdicts(run)
    return str(verdict["why"]).split()


def test_it_is_made_there_as_if_it_was_made_here(up: Path, tmp_path: Path) -> None:
    with _like_a_user():
        done = fab(*_call(up, tmp_path, _own(tmp_path)), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    parent, folder, task, _ = _said(only_run(tmp_path / "runs"))
    assert int(parent) == _server(lab_folder.folder("namespaces", load(up)))
    assert (folder, task) == (str(tmp_path), "run-experiment")
    assert "It says where it is." in done.stdout
    assert not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("within", "environment"),
    [
        (["sh", "-c", 'umask 027; exec "$@"', "sh"], {}),
        (["sh", "-c", 'ulimit -n 1000; exec "$@"', "sh"], {}),
        (["nice"], {}),
        ([], {"OWN_VARIABLE": "1"}),
    ],
    ids=["umask", "limit", "nice", "environment"],
)
def test_it_is_made_here_if_that_could_make_a_difference(
    up: Path, tmp_path: Path, within: list[str], environment: dict[str, str]
) -> None:
    call = _call(up, tmp_path, _own(tmp_path))
    with _like_a_user():
        done = fab(*call, within=within or ["env"], environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    parent = _said(only_run(tmp_path / "runs"))[0]
    assert int(parent) != _server(lab_folder.folder("namespaces", load(up)))


def test_its_exit_code_and_mistakes_are_the_callers(up: Path, tmp_path: Path) -> None:
    own = _own(tmp_path)
    (own / "experiment.py").write_text(WHERE.replace("Verdict.holds", "Verdict.refuted"))
    with _like_a_user():
        assert fab(*_call(up, tmp_path, own)).returncode == 1
        mistaken = fab(*_call(up, tmp_path, tmp_path / "none"))
    assert mistaken.returncode == 2
    assert "Traceback" not in mistaken.stderr
    assert "none" in mistaken.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_its_caller_is_told_it_is_told(up: Path, tmp_path: Path, number: int) -> None:
    own = _own(tmp_path, "echo 1; exec sleep 1000")
    with _like_a_user(), started(*_call(up, tmp_path, own)) as process:
        assert process.stdout is not None
        until(lambda: list((tmp_path / "runs").glob("*/pull-1/say.log")), LIMIT_S)
        process.send_signal(number)
        said = process.communicate(timeout=LIMIT_S)[0]
    assert process.returncode == 4, said
    assert "broke" not in said  # a program that was just being started is ended, not given up
    assert store.load(only_run(tmp_path / "runs")).state == "interrupted"
    assert fab("status", *FLAGS, up).stdout.count("running") == 3


@pytest.mark.slow
def test_it_ends_with_a_killed_caller_and_leaves_nothing(up: Path, tmp_path: Path) -> None:
    server = _server(lab_folder.folder("namespaces", load(up)))
    own = _own(tmp_path, "echo 1; exec sleep 1000")
    with _like_a_user(), started(*_call(up, tmp_path, own)) as process:
        until(lambda: list((tmp_path / "runs").glob("*/pull-1/say.log")), LIMIT_S)
        runs = _children(server)
        assert len(runs) == 1
        process.kill()
        assert ended_within(LIMIT_S, lambda: [pid for pid in runs if is_alive(pid)])
    (tmp_path / "runs").rename(tmp_path / "killed")
    (own / "say.sh").write_text("#!/bin/sh\necho 1\n")
    assert fab(*_call(up, tmp_path, own)).returncode == 0  # the lab is free


def _children(pid: int | None) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_a_run_that_is_stopped_stands_still(up: Path, tmp_path: Path) -> None:
    server = _server(lab_folder.folder("namespaces", load(up)))
    own = _own(tmp_path, "echo 1; exec sleep 1000")
    with _like_a_user(), started(*_call(up, tmp_path, own)) as process:
        until(lambda: list((tmp_path / "runs").glob("*/pull-1/say.log")), LIMIT_S)
        (run,) = _children(server)
        for number, state in ((signal.SIGTSTP, "T"), (signal.SIGCONT, "S")):
            process.send_signal(number)
            until(lambda: {_state(process.pid), _state(run)} == {state}, LIMIT_S)  # noqa: B023
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 4


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.slow
def test_all_that_a_run_needs_is_imported_there(up: Path, tmp_path: Path) -> None:
    """What isn't makes each run start later."""
    inventory = Path(shutil.copy(up, tmp_path))
    environment = {"PYTHONPROFILEIMPORTTIME": "1"}
    assert fab("up", *FLAGS, inventory, environment=environment).returncode == 0
    folder = lab_folder.folder("namespaces", load(inventory))
    try:
        until(lambda: (folder / "warm").exists(), LIMIT_S)
        call = ["--experiment", "round_robin", "--interval", "0.05", "--runs", tmp_path / "runs"]
        done = fab("run-experiment", *call, *FLAGS, inventory, environment=environment)
        assert "page:" in done.stdout, done.stdout
        imported = [line.split("|")[-1].strip() for line in done.stderr.splitlines()]
        late = imported[imported.index("pushpull.core.output", imported.index(LAST)) + 1 :]
        ours = [name for name in late if name.startswith("pushpull.")]
        assert [name for name in ours if not name.startswith("pushpull.experiments.")] == [
            "pushpull.api"
        ]
        assert not {"numpy", "numpy.ma.core", "paramiko", "jinja2", "yaml"} & {*late}
    finally:
        fab("down", *FLAGS, inventory)
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_changed_file_of_the_lab_ends_it(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copytree(PROJECT / "lab", clone / "lab")
    for name in ("inventory.yaml", "fabfile.py", "pyproject.toml", "requirements.lock"):
        shutil.copy(PROJECT / name, clone)
    (clone / "pushpull").symlink_to("lab")

    def of_clone(*words: object) -> "subprocess.CompletedProcess[str]":
        command = [*FAB, *map(str, words)]
        environment = os.environ | {"PYTHONPATH": str(clone)}
        return subprocess.run(command, env=environment, text=True, capture_output=True, cwd=clone)

    inventory = clone / "inventory.yaml"
    assert of_clone("up", *FLAGS, inventory).returncode == 0
    try:
        (place,) = (clone / ".lab").glob("namespaces-*")
        until(lambda: (place / "warm").exists(), LIMIT_S)
        own = _own(tmp_path)
        with (clone / "lab/core/text.py").open("a") as changed:
            changed.write("\n")
        server = _server(place)
        assert server is not None
        done = of_clone(*_call(inventory, tmp_path, own))
        assert done.returncode == 0, done.stderr
        assert int(_said(only_run(tmp_path / "runs"))[0]) == os.getpid()
        assert ended_within(LIMIT_S, lambda: [server] if is_alive(server) else [])
    finally:
        assert of_clone("down", *FLAGS, inventory).returncode == 0


def test_no_call_from_another_namespace_is_served(up: Path, tmp_path: Path) -> None:
    own = _own(tmp_path)
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run(
        [*apart, *FAB, *map(str, _call(up, tmp_path, own))], capture_output=True, text=True
    )
    assert "accepts no requests from other process namespaces" in done.stderr
