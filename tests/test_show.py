"""A run shown again: its page, its charts, and one file that is judged without a lab."""

import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import webbrowser
from pathlib import Path

import pytest
from made_runs import LEAST, MadeRun, of_format_1, with_a_loss

from pushpull.cli import lab_by_hand, show
from pushpull.core.errors import ExitCode, LabError, RunStoreError
from pushpull.core.project import COMMAND
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue, fingerprint
from pushpull.runs import bundle, store
from pushpull.runs.directory import describe

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return with_a_loss(tmp_path / "runs")


def test_report_makes_the_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show.report(run.parent, None, again=False) == ExitCode.EXPECTED
    assert str(run / "report.html") in capsys.readouterr().out
    html = (run / "report.html").read_text()
    assert "After the kill the other machine gets every message." in html
    assert "push sent 12 messages to pull-1 and pull-2, about one every 100 ms." in html
    assert "11 arrived, 1 was lost, 1 arrived late" in html
    assert "default-src 'none'; script-src 'sha256-" in html
    assert "unsafe-eval" not in html.partition("</head>")[0]


def test_nothing_of_the_page_is_imported_before_the_verdicts() -> None:
    heavy = "{'altair', 'jinja2', 'vl_convert'}"
    code = f"import sys, pushpull.cli.run_experiment; print(sorted({heavy} & {{*sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert told.stdout == "[]\n"


def test_clean_removes_old_runs_but_none_in_progress(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = run.parent
    names = [f"2026010{day}T000000Z-kill_worker" for day in range(1, 5)]
    for name in names:
        shutil.copytree(run, root / name)
    run.rename(root / "mine")  # no run's name: somebody's own
    (root / "latest").unlink(missing_ok=True)
    (root / "latest").symlink_to(names[0])
    show.clean(root, 4, confirmed=True)
    assert capsys.readouterr().out == f"nothing to remove: {root} has no more than 4 runs\n"
    show.clean(root, 1, confirmed=False)
    first, then = capsys.readouterr().out.splitlines()
    assert first.startswith("3 runs, ")
    assert first.endswith(f" MB, {names[0]} to {names[2]}")
    assert then == f"`{COMMAND} clean --keep 1 --runs {root} --yes` removes them"
    assert {path.name for path in root.iterdir()} == {*names, "mine", "latest"}
    writing = os.open(root / names[1], os.O_RDONLY)
    fcntl.flock(writing, fcntl.LOCK_EX)  # as the writer of a run does
    show.clean(root, 1, confirmed=True)
    os.close(writing)
    assert capsys.readouterr().out == f"removed 2 runs\n{names[1]} is in progress: it stays\n"
    assert {path.name for path in root.iterdir()} == {names[1], names[3], "mine"}


def test_records_writes_each_line_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        show.records(run.parent, run.name)
        assert capsys.readouterr().out == f"records: {run / 'records.jsonl'}\n"
        lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
        assert [line["text"] for line in lines] == [r.text for r in store.load(run).records]
        assert [line["t"] for line in lines] == sorted(line["t"] for line in lines)
    # The file is for others: the lab reads the logs.
    (run / "records.jsonl").write_text("no JSON")
    assert len(store.load(run).records) == len(lines)


def test_records_of_a_run_of_format_1_stay_as_they_are(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.load(run)
    of_format_1(run)
    content = (run / "records.jsonl").read_bytes()
    assert store.load(run).records == before.records
    show.records(run.parent, run.name)
    assert (run / "records.jsonl").read_bytes() == content
    assert judge(store.load(run), catalogue.load("kill_worker"), partial=False) == before.verdicts


def test_a_bundle_has_the_indexes(run: Path, tmp_path: Path) -> None:
    packed = bundle.pack(run, tmp_path)
    unpacked = bundle.unpack(packed, tmp_path / "elsewhere")
    assert list(unpacked.glob("*/*.index"))
    assert store.load(unpacked).records == store.load(run).records


def test_open_makes_the_page_and_shows_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    show.open_page(run.parent, run.name)
    assert opened == [(run / "report.html").as_uri()]


def test_open_without_a_browser_says_which_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    with pytest.raises(LabError, match="no browser") as caught:
        show.open_page(run.parent, run.name)
    assert "report.html" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize(("form", "start"), [("svg", b"<svg"), ("png", b"\x89PNG")])
def test_plot_writes_every_chart(run: Path, form: str, start: bytes) -> None:
    show.plot(run.parent, None, form)
    for name in ("timeline", "strip", "shares", "latency"):
        assert (run / f"{name}.{form}").read_bytes().startswith(start)


def test_plot_knows_no_other_format(run: Path) -> None:
    with pytest.raises(LabError, match="invalid --format"):
        show.plot(run.parent, None, "gif")


@pytest.mark.slow
def test_two_runs_have_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = with_a_loss(tmp_path)
    other = MadeRun(tmp_path, count=12)
    other.begin()
    path = other.end(0.5)
    assert lab_by_hand.compare_runs(tmp_path, run.name, path.name) == ExitCode.UNEXPECTED
    page = Path(capsys.readouterr().out.split("page:")[1].strip())
    assert page.parent == run
    assert "3 verdicts differ" in page.read_text()
    assert "script-src 'none'" in page.read_text()


def test_a_packed_run_is_judged_elsewhere(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show.report(run.parent, None, again=False)
    file = bundle.pack(run, tmp_path)
    shutil.rmtree(run)
    elsewhere = tmp_path / "elsewhere"
    assert show.report(elsewhere, str(file), again=True) == ExitCode.EXPECTED
    out = capsys.readouterr().out
    assert "same verdicts as before" in out
    assert "NOT the same" not in out
    (there,) = elsewhere.glob(f"{run.name}-*")
    assert (there / "push/push.log").read_bytes().startswith(b"0\n1\n")
    with pytest.raises(LabError, match="exists already") as refused:
        bundle.unpack(file, elsewhere)
    assert f"report --run {there}" in refused.value.hint
    assert bundle.pack(there, tmp_path).name == file.name  # it has its tag already


OWN = '''
"""Mine."""
from pathlib import Path
from pushpull.api import Verdict, claim, experiment
Path(__file__).with_name(".was-run").touch()

@experiment(source="mine")
def mine(lab): ...

@claim("It is mine.")
def it_is(run):
    return Verdict.holds("It is.")
'''


@pytest.fixture
def own_run(tmp_path: Path) -> Path:
    """A run by an experiment of the user's own, that has since been changed."""
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    (folder / "experiment.py").write_text(OWN)
    (folder / ".env").write_text("TOKEN=1")
    (folder / "data/words.txt").write_text("7")
    (folder / "link").symlink_to("data/words.txt")
    made = with_a_loss(tmp_path / "runs")
    run = made.rename(made.with_name("20261127T120000Z-mine"))
    experiment = catalogue.load(str(folder))
    home = {"module": str(Path.home() / "x.py"), "command": f"./fab --runs {Path.home()}/runs"}
    describe(run, store.load(run).description | home | {"experiment": "mine"})
    (folder / ".was-run").unlink()
    kept = catalogue.own_files(experiment)
    for name, file in kept.items():
        (run / "_experiment" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, run / "_experiment" / name)
    verdicts = judge(store.load(run), experiment, partial=False)
    code = {"code": fingerprint.code(experiment)}
    describe(run, store.load(run).description | code)
    (run / "verdicts.json").write_text(json.dumps(verdicts))
    (run / ".left").write_text("hidden")
    shutil.rmtree(folder)
    return run


def test_a_users_experiment_is_packed_and_executed_only_on_request(
    own_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = bundle.pack(own_run, tmp_path)
    assert show.report(tmp_path / "elsewhere", str(file), again=False) == ExitCode.EXPECTED
    (packed,) = (tmp_path / "elsewhere").glob(f"{own_run.name}-*")
    assert not (packed / "_experiment/.was-run").exists()
    assert show.report(tmp_path / "elsewhere", packed.name, again=True) == ExitCode.EXPECTED
    assert (packed / "_experiment/.was-run").exists()
    out = capsys.readouterr().out
    assert "It is mine." in out
    assert "\nsame verdicts as before\n" in out


def test_a_bundle_has_only_the_runs_files_and_names_nobody(own_run: Path, tmp_path: Path) -> None:
    file = bundle.pack(own_run, tmp_path)
    with tarfile.open(file) as archive:
        members = {m.name.partition("/")[2]: m for m in archive}
        described = archive.extractfile(members["run.json"])
        assert described is not None
        said = described.read().decode()
    assert {name for name in members if name.startswith("_")} == {
        "_experiment/experiment.py", "_experiment/data/words.txt", "_experiment/link",
    }  # fmt: skip
    assert all(m.isreg() and not (m.uname or m.gname or m.uid) for m in members.values())
    assert not any("/." in f"/{name}" for name in members)
    assert str(Path.home()) not in said
    assert json.loads(said)["module"] is None
    assert json.loads(said)["command"] == "./fab --runs ~/runs"


def test_code_that_changed_after_the_run_is_reported(
    own_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = own_run / "_experiment/experiment.py"
    module.write_text(module.read_text().replace('holds("It is.")', 'refuted("No.")'))
    description = store.load(own_run).description
    describe(own_run, description | {"code": description["code"] | {"lab": "another"}})
    assert show.report(own_run.parent, own_run.name, again=True) == ExitCode.UNEXPECTED
    out = capsys.readouterr().out
    assert "NOT the same verdicts as before" in out
    assert "the experiment and the lab's own judging code" in out


def _archive(file: Path, members: dict[str, bytes], link: str = "") -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return file


RUN = "20261127T120000Z-kill_worker"
DESCRIPTION = json.dumps(
    {"state": "finished", "started": 1.0, "experiment": "kill_worker", **LEAST}
).encode()
GOOD = {f"{RUN}/run.json": DESCRIPTION, f"{RUN}/records.jsonl": b"", f"{RUN}/events.jsonl": b""}


def test_the_smallest_packed_run(tmp_path: Path) -> None:
    """Or all that are refused below may be refused for another reason."""
    members = GOOD | {f"{RUN}/.env": b"", f"{RUN}/report.html": b"<script>"}
    path = bundle.unpack(_archive(tmp_path / "x.run.tar.gz", members), tmp_path / "runs")
    assert {p.name for p in path.iterdir()} == {"run.json", "records.jsonl", "events.jsonl"}
    assert {p.name for p in path.parent.iterdir()} == {RUN}


@pytest.mark.parametrize(
    ("members", "link"),
    [
        (GOOD | {"b/x": b""}, ""),
        (GOOD | {f"{RUN}/run.json": b"[]"}, ""),
        ({f"{RUN}/x": b""}, ""),
        (GOOD | {"../run.json": b""}, ""),
        (GOOD | {f"/{RUN}/x": b""}, ""),
        (GOOD | {f"{RUN}/../../x": b""}, ""),
        (GOOD | {f"{RUN}/run.json": DESCRIPTION.replace(b"kill_worker", b"../evil")}, ""),
        (GOOD | {f"{RUN}/run.json": DESCRIPTION.replace(b"kill_worker", b"round_robin")}, ""),
        ({name.replace(RUN, "latest"): content for name, content in GOOD.items()}, ""),
        ({name.replace(RUN, f"{RUN}\x1b[2J"): content for name, content in GOOD.items()}, ""),
        (GOOD | {f"{RUN}/x": b"\0" * 20_000_000}, ""),
        (GOOD | {f"{RUN}/" + "d/" * 20 + "x": b""}, ""),
        (GOOD, f"{RUN}/link"),
    ],
)
def test_something_other_than_a_packed_run_is_refused(
    tmp_path: Path, members: dict[str, bytes], link: str
) -> None:
    file = _archive(tmp_path / "x.run.tar.gz", members, link)
    root = tmp_path / "inside/runs"
    with pytest.raises(RunStoreError, match="not a packed run") as caught:
        bundle.unpack(file, root)
    assert "\x1b" not in str(caught.value)
    assert {p.name for p in tmp_path.iterdir()} == {file.name}


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8b\x08\x00cut"])
def test_something_other_than_an_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.run.tar.gz"
    file.write_bytes(content)
    with pytest.raises(LabError, match="not a packed run"):
        bundle.unpack(file, tmp_path / "runs")
