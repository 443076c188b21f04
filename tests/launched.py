"""A launcher, started and controlled as by the harness."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushpull.machines.agent import launcher

HERE = str(Path(__file__).parent)


class Launched:
    """A launcher with its program, and a line to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", notes: Path) -> None:
        self.process = process
        self.notes_path = notes

    def line(self) -> str:
        """Return the next line that the program, or one of its descendants, prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def send(self, number: int) -> None:
        """Request a signal."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"%d\n" % number)
        self.process.stdin.flush()

    def order(self, text: str) -> None:
        """Give the line holder an order."""
        self.send(launcher.HOLD_ORDER)
        assert self.process.stdin is not None
        self.process.stdin.write(b"%d\n%s" % (len(text.encode()), text.encode()))
        self.process.stdin.flush()

    def vanish(self) -> None:
        """Close the input, as when the harness is gone."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self) -> tuple[int, str]:
        """Wait for the launcher's end; return its exit status, and what else was printed."""
        assert self.process.stdout is not None
        rest = self.process.stdout.read().decode()
        return self.process.wait(), rest

    def notes(self) -> dict[str, str]:
        """Return what the launcher noted, by the word that a line begins with."""
        if not self.notes_path.exists():
            return {}
        return dict(line.partition(" ")[::2] for line in self.notes_path.read_text().splitlines())


@pytest.fixture
def launch(tmp_path: Path) -> Iterator:
    """Starts a program under a launcher; it prints to one pipe."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *argv: str,
        cwd: str = HERE,
        lease: float = 30,
        before: bytes = b"",
        order: bytes | None = None,
        by_line: bool = False,
        held: bool = False,
        setup: str = "",
        **env: str,
    ) -> Launched:
        code = "from pushpull.machines.agent import launcher\n"
        code += f"launcher.LEASE_S = {lease}\n{setup}\nlauncher.main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=Path(HERE).parent,
        )
        started.append(process)
        assert process.stdin is not None
        notes = tmp_path / f"{len(started)}.notes"
        if order is None:
            order = launcher.order(list(argv), env, cwd, str(notes), by_line=by_line, held=held)
        process.stdin.write(before + order)
        process.stdin.flush()
        return Launched(process, notes)

    yield start
    for process in started:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
        process.stdout.close()


def shell(*lines: str) -> tuple[str, str, str]:
    return ("sh", "-c", "\n".join(lines))
