"""A program stands in the system call that prints its line, whatever it is written in."""

import errno
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from launched import Launched, shell
from quick import rest_slow

from pushpull.core.errors import LabError
from pushpull.core.program_line import ProgramLine
from pushpull.core.records import Record
from pushpull.machines.agent import line_holder
from pushpull.machines.agent.line_holder import Target

Launch = Callable[..., Launched]
LINE = 5000
FLOODS = {
    "python": """
import os
done = os.open("done", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
for n in range(1, 100_001):
    print(n, flush=True)
    os.pwrite(done, b"%d\\n" % n, 0)
""",
    "node": """
const fs = require("fs");
const done = fs.openSync("done", "w");
for (let n = 1; n <= 100000; n++) {
  fs.writeSync(1, n + "\\n");
  fs.writeSync(done, n + "\\n", 0);
}
""",
    "java": """
public class Flood {
  public static void main(String[] arguments) throws Exception {
    var done = new java.io.RandomAccessFile("done", "rw");
    for (int n = 1; n <= 100000; n++) {
      System.out.println(n);
      done.seek(0);
      done.writeBytes(n + "\\n");
    }
  }
}
""",
}
# Refuses seccomp(2), as the default profile of some containers does.
REFUSE = """
import ctypes, os, struct
number = {"x86_64": 317}.get(os.uname().machine, 277)
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
about = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, about, 0, 0) == 0
"""


@pytest.fixture(scope="session")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static program."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    made = tmp_path_factory.mktemp("flood") / "flood"
    source = Path(__file__).parent / "flood.c"
    subprocess.run([compiler, "-O2", "-static", "-w", "-o", made, source], check=True)
    return made


def lines(launched: Launched, number: int) -> list[str]:
    return [launched.line() for _ in range(number)]


def kill_at(launch: Launch, folder: Path, *argv: str, line: int = LINE) -> None:
    held = launch(*argv, cwd=str(folder), held=True)
    held.order(f"count {line}")
    assert lines(held, line)[-1] == str(line)
    assert held.notes()["stands"].split()[0] == str(line)
    assert (folder / "done").read_text() == f"{line - 1}\n"
    held.send(signal.SIGKILL)
    assert held.end() == (137, "")
    assert (folder / "done").read_text() == f"{line - 1}\n"


@pytest.mark.parametrize("run", rest_slow(range(10)))
def test_a_static_program_does_nothing_after_its_line(
    launch: Launch, flood: Path, tmp_path: Path, run: int
) -> None:
    kill_at(launch, tmp_path, str(flood), line=LINE if run == 0 else 100 + 137 * run)


@pytest.mark.parametrize("language", rest_slow(FLOODS))
def test_nor_does_one_in_another_language(launch: Launch, tmp_path: Path, language: str) -> None:
    source = tmp_path / {"python": "flood.py", "node": "flood.js", "java": "Flood.java"}[language]
    source.write_text(FLOODS[language])
    program = sys.executable if language == "python" else shutil.which(language)
    if program is None or (language == "java" and shutil.which("javac") is None):
        pytest.skip(f"{language} is not installed")
    kill_at(launch, tmp_path, program, str(source), line=1000)


def test_it_stands_before_its_first_line_and_then_at_each_that_is_named(launch: Launch) -> None:
    held = launch(*shell("for n in 1 2 3 40 5 6; do echo $n; done; echo done >&2"), held=True)
    held.order("count 2")
    assert lines(held, 2) == ["1", "2"]
    held.order("start 4")
    assert lines(held, 2) == ["3", "40"]
    held.order("search ^[a-z6]$")
    assert lines(held, 2) == ["5", "6"]
    assert held.notes()["stands"].split()[0] == "6"
    held.order("free")
    assert held.end() == (0, "done\n")
    assert len(held.notes()["free"].split()) == 2


def test_a_write_of_several_lines_is_cut_at_the_line(launch: Launch) -> None:
    code = r"import os; print(os.writev(1, [b'1\n2\n3', b'\n4\n']), file=__import__('sys').stderr)"
    held = launch(sys.executable, "-c", code, held=True)
    held.order("count 2")
    assert lines(held, 2) == ["1", "2"]
    held.order("count 3")
    assert lines(held, 1) == ["3"]
    held.order("free")
    assert held.end() == (0, "4\n8\n")


# What a program may do between its lines: each prints `1`, does that, and prints `2` and `3`.
ODDITIES = {
    "writes more than there can be": "libc.write(1, b'', ctypes.c_size_t(-1))",
    "writes from nowhere": "libc.write(1, ctypes.c_void_p(2**64 - 4096), ctypes.c_size_t(9))",
    "writes no byte": "os.write(1, b'')",
    "writes at an offset": "libc.pwritev2(1, part, 1, ctypes.c_long(3), 0)",
}
PRINTS = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
text = ctypes.create_string_buffer(b"lost\\n", 5)
part = struct.pack("QQ", ctypes.addressof(text), 5)
os.write(1, b"1\\n")
{oddity}
os.write(1, b"2\\n")
os.write(1, b"3\\n")
"""


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
def test_a_call_that_the_kernel_refuses_leaves_nothing_held(launch: Launch, oddity: str) -> None:
    held = launch(sys.executable, "-c", PRINTS.format(oddity=oddity), held=True)
    held.order("count 2")
    assert lines(held, 2) == ["1", "2"]
    assert held.notes()["stands"].split()[0] == "2"
    held.order("free")
    assert held.end() == (0, "3\n")


def test_it_stands_in_each_call_that_writes(launch: Launch) -> None:
    code = (
        "import ctypes, os, struct; text = ctypes.create_string_buffer(b'1\\n2\\n3\\n');"
        "part = struct.pack('QQ', ctypes.addressof(text), 6);"
        "number = {'x86_64': 328}.get(os.uname().machine, 287);"
        "call = ctypes.CDLL(None).syscall; call(number, 1, part, 1, *[ctypes.c_long(-1)] * 2, 0)"
    )
    held = launch(sys.executable, "-c", code, held=True)
    held.order("count 2")
    assert lines(held, 2) == ["1", "2"]
    assert held.notes()["stands"].split()[0] == "2"
    held.order("free")
    assert held.end() == (0, "3\n")


def test_a_pipe_that_is_full_is_the_programs_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to the kernel, the call might find room by then, for more than is ordered."""

    def full(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "full")

    holder = line_holder.LineHolder(str(tmp_path / "notes"))
    holder.order("count 3")
    monkeypatch.setattr(line_holder.os, "write", full)
    assert holder._write(b"1\n") == -errno.EAGAIN


@pytest.mark.parametrize("closing", ["os.closerange(0, 3)", "os.close(0); os.close(1)"])
def test_what_is_no_output_any_more_is_left_alone(
    launch: Launch, tmp_path: Path, closing: str
) -> None:
    code = (
        f"import os; os.write(1, b'1\\n'); {closing}; os.open('/dev/null', os.O_RDWR);"
        " os.open('file', os.O_CREAT | os.O_RDWR); os.write(1, b'2\\n')"
    )
    held = launch(sys.executable, "-c", code, held=True, cwd=str(tmp_path))
    held.order("count 2")
    assert held.end() == (0, "1\n")
    assert (tmp_path / "file").read_text() == "2\n"


def test_a_line_in_several_writes_is_one(launch: Launch) -> None:
    code = r"import os; [os.write(1, b) for b in (b'a', b'b', b'\n', b'ab', b'c\n', b'd\n')]"
    held = launch(sys.executable, "-c", code, held=True)
    held.order("start abc")
    assert lines(held, 2) == ["ab", "abc"]
    assert held.notes()["stands"].split()[0] == "2"
    held.vanish()


def test_only_what_reaches_its_output_counts(launch: Launch, tmp_path: Path) -> None:
    """A shell turns its descriptor 1 into a file and back; its commands have their own."""
    code = "echo 1; echo x >file; echo 2; (echo y; echo z) >file; v=$(echo w); /bin/echo 3; echo 4"
    held = launch(*shell(code), cwd=str(tmp_path), held=True)
    held.order("count 3")
    assert lines(held, 3) == ["1", "2", "3"]
    assert held.notes()["stands"].split()[0] == "3"
    held.order("free")
    assert held.end() == (0, "4\n")
    assert (tmp_path / "file").read_text() == "y\nz\n"


def test_a_signal_that_is_not_fatal_waits_until_it_goes_on(launch: Launch) -> None:
    """The call is not interrupted, which would print the line twice."""
    code = "import os, signal; signal.signal(15, lambda *_: os.write(1, b'caught\\n'))"
    held = launch(sys.executable, "-c", f"{code}; print(1, flush=True); print(2)", held=True)
    held.order("count 1")
    assert held.line() == "1"
    held.send(signal.SIGTERM)
    held.order("free")
    assert held.end() == (0, "caught\n2\n")


@pytest.mark.parametrize("how", ["vanish", "kill -9"])
def test_a_held_program_is_never_left_held(launch: Launch, tmp_path: Path, how: str) -> None:
    """Nor does it go on, not even for the moment between its launcher's end and its own."""
    held = launch(*shell("echo $$", "echo >on", "sleep 60"), cwd=str(tmp_path), held=True)
    held.order("count 1")
    program = os.pidfd_open(int(held.line()))
    if how == "vanish":
        held.vanish()
    else:
        os.kill(held.process.pid, signal.SIGKILL)
    assert select.select([program], [], [], 30)[0]
    os.close(program)
    assert held.end()[1] == ""
    assert not (tmp_path / "on").exists()


@pytest.mark.parametrize(
    ("answer", "why"), [("1", "Operation not permitted"), ("26", "Function not implemented")]
)
def test_where_the_system_refuses_it_runs_and_the_notes_say_so(
    launch: Launch, answer: str, why: str
) -> None:
    refuse = REFUSE.replace("0x50001", f"0x500{answer:0>2}")
    held = launch(*shell("echo 1; echo 2"), held=True, setup=refuse)
    held.order("count 1")
    assert held.end() == (0, "1\n2\n")
    assert held.notes()["not-held"] == f"seccomp: {why}"
    assert "stands" not in held.notes()


def test_a_program_that_cannot_be_started_is_not_held(launch: Launch) -> None:
    held = launch("./nothing-here", held=True)
    status, said = held.end()
    assert status == 127
    assert "No such file" in said


@pytest.mark.parametrize(
    ("line", "order", "is_it", "is_not"),
    [
        ("7 ,", "start 7 ,", "7 , 1.5", "17 , 1.5"),
        ("a.c", "start a.c", "a.cd", "abc"),
        (re.compile("b+$"), "search b+$", "abb", "abx"),
        (re.compile("ÄB", re.IGNORECASE), "search (?i)ÄB", "xäb", "xab"),
    ],
)
def test_machine_and_harness_mean_the_same_line(
    line: "str | re.Pattern[str]", order: str, is_it: str, is_not: str
) -> None:
    meant = ProgramLine.of(line)
    assert meant.order == order
    for text, right in ((is_it, True), (is_not, False)):
        assert meant.is_found_in(made(text, 9)) is right
        assert (Target(order).end(f"{text}\n".encode(), 0, 8, b"") is not None) is right


def test_a_number_means_the_same_line_to_both() -> None:
    third = ProgramLine.of(3)
    assert [n for n in range(1, 6) if third.is_found_in(made("x", n))] == [3]
    assert Target(third.order).end(b"1\n2\n3\n4\n", 0, 0, b"") == 6
    assert Target(third.order).end(b"1\n2\n3\n4\n", 0, 1, b"half") == 4


def made(text: str, number: int) -> Record:
    return Record(
        machine="m",
        process="p",
        stream="stdout",
        n=number - 1,
        t=0.0,
        text=text,
        offset=0,
        length=1,
    )


@pytest.mark.parametrize("line", [0, -1, "", "a\nb", True, None, re.compile(b"x")])
def test_what_names_no_line_is_a_mistake(line: object) -> None:
    with pytest.raises(LabError, match="names no line"):
        ProgramLine.of(line)  # type: ignore[arg-type]
