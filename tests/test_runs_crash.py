"""A run directory whose writer is killed or runs out of disk: real processes, a real full disk."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import able_to_mount
from made_runs import LEAST

from pushpull.runs.directory import RunDirectory
from pushpull.runs.store import load

HOME = Path(__file__).parent.parent


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    run = RunDirectory.create(tmp_path / "runs", "round_robin", LEAST | {"call": "c1"})
    yield run
    run.close()


def python(script: str, *arguments: object, under: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start a script that can import the lab, with pipes to talk to it."""
    command = [*under, sys.executable, "-c", script, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def test_a_run_is_running_while_its_writer_lives(tmp_path: Path) -> None:
    script = """
import sys, pathlib
from pushpull.runs.directory import RunDirectory
least = {"parameters": {"count": 1, "interval": 1}}
run = RunDirectory.create(pathlib.Path(sys.argv[1]), "round_robin", least)
print(run.path, flush=True)
input()
run.finish("interrupted")
"""
    process = python(script, tmp_path)
    assert process.stdout
    path = Path(process.stdout.readline().strip())
    assert load(path).state == load(path).state == "running"  # looking does not disturb it
    process.communicate("\n")
    assert load(path).state == "interrupted"


@pytest.mark.parametrize("life", range(5))
def test_the_output_of_a_killed_writer_is_kept(tmp_path: Path, life: int) -> None:
    """The writer reports each written batch through a pipe, and is killed in between."""
    script = """
import sys, pathlib
from pushpull.runs.capture import Capture
from pushpull.core.records import Event
from pushpull.runs.directory import RunDirectory
least = {"parameters": {"count": 1, "interval": 1}}
run = RunDirectory.create(pathlib.Path(sys.argv[1]), "round_robin", least)
print(run.path, flush=True)
told = lambda lines: print(lines[-1].n, flush=True)
stream = Capture(run, told).open("pull-1", "pull", "stdout")
for n in range(10**9):
    stream.feed(b"%d %s\\n" % (n, b"x" * 5000) * 10)
    run.event(Event(t=1.0, event="n", details={"n": n}))
"""
    process = python(script, tmp_path)
    assert process.stdout
    path = Path(process.stdout.readline().strip())
    for _ in range(20 + life):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    told = [int(line) for line in process.communicate()[0].split("\n") if line.isdigit()]
    stored = load(path)
    assert stored.state == "died"
    assert stored.description["state"] == "running"
    assert [record.n for record in stored.records] == list(range(len(stored.records)))
    assert len(stored.records) > (told[-1] if told else 0)
    assert [event.details["n"] for event in stored.events] == list(range(len(stored.events)))
    log = (path / "pull-1" / "pull.log").read_bytes()
    for record in stored.records:
        assert log[record.offset : record.offset + record.length].decode() == record.text


def test_closed_without_a_last_word_is_died(run: RunDirectory) -> None:
    assert load(run.path).state == "running"
    run.close()
    run.close()
    assert load(run.path).state == "died"
    reader = os.open(run.path, os.O_RDONLY)
    try:
        fcntl.flock(reader, fcntl.LOCK_SH)  # another reader, amidst its probe
        assert load(run.path).state == "died"
    finally:
        os.close(reader)


def test_the_lock_goes_with_the_writer_though_a_forked_child_lives(run: RunDirectory) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:  # a child that never calls exec
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    try:
        run.close()
        assert load(run.path).state == "died"
    finally:
        os.close(write)
        os.waitpid(child, 0)


def test_a_run_is_not_called_finished_too_early(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="done"):
        run.finish("done")
    assert load(run.path).state == "running"


def test_two_processes_at_once(tmp_path: Path) -> None:
    script = """
import sys, pathlib, time, pushpull.runs.directory
time.strftime = lambda *_: "20261124T061026Z"
print("ready", flush=True)
input()
least = {"parameters": {"count": 1, "interval": 1}}
run = pushpull.runs.directory.RunDirectory.create(pathlib.Path(sys.argv[1]), "round_robin", least)
print(run.path.name, flush=True)
"""
    processes = [python(script, tmp_path) for _ in range(2)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate()[0].strip() for process in processes]
    stem = "20261124T061026Z-round_robin"
    assert sorted(answers) == [stem, f"{stem}-2"]


FULL_DISK = """
import errno, pathlib, sys
from pushpull.runs.capture import Capture
from pushpull.core.errors import LabError
from pushpull.core.records import Event
from pushpull.runs.directory import RunDirectory
from pushpull.runs.store import load

root = pathlib.Path(sys.argv[1])
ballast = root / "ballast"
ballast.write_bytes(b"x" * 100_000)
least = {"parameters": {"count": 1, "interval": 1}}
run = RunDirectory.create(root, "full", least)
capture = Capture(run, lambda lines: None)
stream = capture.open("pull-1", "pull", "stdout")
chunk = (b"y" * 700 + b"\\n") * 7
try:
    while True:
        stream.feed(chunk)
except LabError as error:
    print(error.what, error.where, error.hint)
try:
    run.update(note="n" * 50_000)
except LabError as error:
    print(error.what)
full = load(run.path)
assert full.state == "running"
ballast.unlink()
stream.feed(b"\\nagain\\n")
stream.close()
run.event(Event(t=1.0, event="again"))
run.finish("interrupted")
stored = load(run.path)
assert stored.state == "interrupted" and len(stored.events) == 1
assert stored.records[: len(full.records)] == full.records and len(full.records) > 50
assert stored.records[-1].text == "again"
log = (run.path / "pull-1/pull.log").read_bytes()
assert len(log) == stream.bytes
for r in stored.records:
    assert log[r.offset : r.offset + r.length].decode() == r.text
print("done")
"""


def test_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    """A real one: a small tmpfs in a mount namespace of its own."""
    alone = able_to_mount()
    mount = 'mount -t tmpfs -o size=512k none "$0" && exec "$@"'
    process = python(FULL_DISK, tmp_path, under=(*alone, "sh", "-c", mount, str(tmp_path)))
    said = process.communicate()[0].splitlines()
    assert said[-1] == "done"
    assert "No space left on device" in said[0]
    assert "/pull-1/pull.log" in said[0]
    assert "Free some space" in said[0]
    assert "No space left on device" in said[1]


def test_an_entry_that_was_cut_in_two_is_written_anew(run: RunDirectory) -> None:
    """A size limit cuts at a byte, where a tmpfs cuts at a page."""
    script = """
import pathlib, resource, sys
from pushpull.core.errors import LabError
from pushpull.runs.capture import Capture
from pushpull.runs.directory import RunDirectory
from pushpull.runs.store import load
least = {"parameters": {"count": 1, "interval": 1}}
run = RunDirectory.create(pathlib.Path(sys.argv[1]), "limit", least)
stream = Capture(run, lambda lines: None).open("m", "p", "stdout")
for _ in range(5):
    stream.feed(b"a\\n")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5 * 16 + 7, hard))
try:
    stream.feed(b"b\\n")
except LabError as error:
    print(error.hint)
assert [r.text for r in load(run.path).records] == ["a"] * 5
assert (run.path / "m/p.log.index").stat().st_size == 5 * 16 + 7
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
stream.feed(b"c\\n")
stream.close()
run.finish("finished")
assert [r.text for r in load(run.path).records] == ["a"] * 5 + ["b", "c"]
print("done")
"""
    said = python(script, run.path.parent).communicate()[0].splitlines()
    assert said[-1] == "done"
    assert "Free some space" in said[0]
