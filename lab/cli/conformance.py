"""Keeps implementations that fail the conformance test out of experiments, and remembers passes."""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pushpull.core.errors import ExitCode, LabError
from pushpull.experiments import implementations
from pushpull.experiments.manifest import FILE, Manifest
from pushpull.machines import installer


def test(title: str) -> ExitCode:
    """Try an implementation, print each result, and return MISTAKE if it doesn't pass.

    Raises:
        LabError: there is none of this name, or it is not installed.
    """
    passed = _try(implementations.get(title), print)
    print(f"{title} {'passes' if passed else 'does not pass'} the conformance test")
    return ExitCode.EXPECTED if passed else ExitCode.MISTAKE


def require(one: Manifest) -> None:
    """Raise LabError if an implementation doesn't pass; try it if it has never passed here.

    The lab's own test suite tries the default one.
    """
    if one.title == implementations.DEFAULT or os.access(_pass(one), os.R_OK):
        return
    print(f"trying {one.title} by the conformance test first, once", file=sys.stderr, flush=True)
    failed: list[str] = []
    if not _try(one, lambda line: None if line.startswith("✓") else failed.append(line)):
        raise LabError(
            f"it doesn't pass the conformance test: {failed[0].splitlines()[0].strip('✗ ')}",
            where=one.title,
            hint=f"see all of it: ./fab implementations --test {one.title}",
        )


def _try(one: Manifest, say: Callable[[str], None]) -> bool:
    """Run the test and say each result; remember and return whether it passed."""
    if not installer.is_installed(one.installation):
        raise LabError(
            "it is not installed on this computer",
            where=one.title,
            hint=f"./fab implementations --install {one.title}",
        )
    from pushpull.experiments import conformance  # later: most runs don't need it

    passed = True
    for result in conformance.run(one.programs, str(installer.root())):
        if result.mismatch is None:
            say(f"✓ {result.check.words}")
        else:
            passed = False
            last = [f"\n    {line}" for line in result.mismatch.output.splitlines()]
            say(f"✗ {result.check.words}\n  {result.mismatch.what}{''.join(last)}")
    if passed:
        with contextlib.suppress(OSError):  # then it is tried again
            _pass(one).parent.mkdir(parents=True, exist_ok=True)
            _pass(one).touch()
    return passed


def _pass(one: Manifest) -> Path:
    """Return the file that exists if just this implementation has passed just this test here."""
    from pushpull.experiments import conformance

    content = hashlib.sha256(one.installation.folder.encode())
    files = {implementations.FOLDER / one.name / FILE}
    files |= {path for program in one.programs.values() for path in program.files.values()}
    files |= {*Path(conformance.__file__).parent.glob("*.py")}
    for file in sorted(files):
        content.update(hashlib.sha256(file.read_bytes()).digest())
    return installer.root() / "passed" / f"{one.title}-{content.hexdigest()[:16]}"
