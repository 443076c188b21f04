"""A run shown again: its page, its pictures, and one file that is judged where there is no lab."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
import webbrowser
from pathlib import Path

import pytest
from made_runs import MadeRun, with_a_loss

from lab import bundle, by_hand, runs, show
from lab.errors import ExitCode, LabError

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return with_a_loss(tmp_path / "runs")


def test_report_makes_the_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show.report(run.parent, None, again=False) == ExitCode.EXPECTED
    assert str(run / "report.html") in capsys.readouterr().out
    html = (run / "report.html").read_text()
    assert "After the kill the other machine gets every message." in html
    assert "12 were sent, 11 came, 1 was lost, 1 came late" in html
    assert "default-src 'none'; script-src 'sha256-" in html
    assert "unsafe-eval" not in html.partition("</head>")[0]


def test_nothing_of_the_page_is_imported_before_the_verdicts() -> None:
    heavy = "{'altair', 'jinja2', 'vl_convert'}"
    code = f"import sys, lab.session; print(sorted({heavy} & {{*sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert told.stdout == "[]\n"


def test_open_makes_the_page_and_shows_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    show.open_page(run.parent, run.name)
    assert opened == [(run / "report.html").as_uri()]


def test_open_without_a_browser_says_which_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    with pytest.raises(LabError, match="no browser") as caught:
        show.open_page(run.parent, run.name)
    assert "report.html" in caught.value.cure


@pytest.mark.slow
@pytest.mark.parametrize(("form", "start"), [("svg", b"<svg"), ("png", b"\x89PNG")])
def test_plot_writes_each_picture(run: Path, form: str, start: bytes) -> None:
    show.plot(run.parent, None, form)
    for name in ("timeline", "strip", "shares", "latency"):
        assert (run / f"{name}.{form}").read_bytes().startswith(start)


def test_plot_knows_no_other_format(run: Path) -> None:
    with pytest.raises(LabError, match="no format"):
        show.plot(run.parent, None, "gif")


@pytest.mark.slow
def test_two_runs_have_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = with_a_loss(tmp_path)
    other = MadeRun(tmp_path, count=12)
    other.begin()
    path = other.end(0.5)
    assert by_hand.compare_runs(tmp_path, run.name, path.name) == ExitCode.UNEXPECTED
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
    assert "as judged before" in out
    assert "NOT as judged" not in out
    assert (elsewhere / run.name / "push/push.log").read_bytes().startswith(b"0\n1\n")
    with pytest.raises(LabError, match="there already"):
        bundle.unpack(file, elsewhere)


OWN = '''
"""Mine."""
from pathlib import Path
from lab.experiment import Verdict, claim, experiment
Path(__file__).with_name("was-run").touch()

@experiment(source="mine")
def mine(lab): ...

@claim("It is mine.")
def it_is(run):
    return Verdict.holds("It is.")
'''


def test_an_own_experiment_goes_along_and_is_run_only_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_a_loss(tmp_path / "runs")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "experiment.py").write_text(OWN)
    runs.amend(run, experiment="mine", module=str(folder / "experiment.py"))
    file = bundle.pack(run, tmp_path)
    shutil.rmtree(folder)
    packed = tmp_path / "elsewhere" / run.name
    assert show.report(tmp_path / "elsewhere", str(file), again=False) == ExitCode.EXPECTED
    assert not (packed / "_experiment/was-run").exists()
    assert show.report(tmp_path / "elsewhere", run.name, again=True) == ExitCode.EXPECTED
    assert (packed / "_experiment/was-run").exists()
    assert "It is mine." in capsys.readouterr().out


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


GOOD = json.dumps({"state": "finished", "started": 1.0, "experiment": "kill_worker"}).encode()


@pytest.mark.parametrize(
    ("members", "link"),
    [
        ({"a/run.json": GOOD, "b/x": b""}, ""),
        ({"a/run.json": b"[]"}, ""),
        ({"a/x": b""}, ""),
        ({"../run.json": GOOD}, ""),
        ({"/a/run.json": GOOD}, ""),
        ({"a/run.json": GOOD, "a/../../x": b""}, ""),
        ({"a/run.json": GOOD.replace(b"kill_worker", b"../evil")}, ""),
        ({"a/run.json": GOOD}, "a/link"),
    ],
)
def test_what_is_no_packed_run_is_refused(
    tmp_path: Path, members: dict[str, bytes], link: str
) -> None:
    file = _archive(tmp_path / "x.run.tar.gz", members, link)
    root = tmp_path / "inside/runs"
    with pytest.raises(LabError, match="no packed run"):
        bundle.unpack(file, root)
    assert not (tmp_path / "inside/x").exists()
    assert not (tmp_path / "inside/run.json").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8b\x08\x00cut"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.run.tar.gz"
    file.write_bytes(content)
    with pytest.raises(LabError, match="no packed run"):
        bundle.unpack(file, tmp_path / "runs")
