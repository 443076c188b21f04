"""`fab test`: checks style and types, runs every test, and lists what was skipped and why."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from pushpull.core.errors import ExitCode, LabError
from pushpull.core.project import PROJECT

_CHECKS = {
    "style (ruff check)": ["ruff", "check"],
    "format (ruff format)": ["ruff", "format", "--check"],
    "types (mypy)": ["mypy"],
}
# A test waits more than half of its time, for messages and processes. With too many at once the lab
# itself stalls now and then, and then its runs show no verdicts.
_WORKERS = min(3 * (os.cpu_count() or 1), 12)
# Tests of one file stay together, as they share fixtures, until a worker has nothing left to do.
_SHARED = ["-n", str(_WORKERS), "--dist", "worksteal"]
_QUICK_PARTS = {"tests": ("not alone and not vm", _SHARED)}
# Tests that load the machine must not share it with others. The tests on VMs build on each other,
# so the first failure ends them. Without the tools all are skipped for one reason, which the
# summary gives once. Their folder is named, as it takes seconds to look through all others.
_PARTS = {
    **_QUICK_PARTS,
    "tests that run alone": ("alone and not vm", []),
    "tests on real VMs": ("vm", ["-x", "-rfE", "tests/vm"]),
}
_NO_TESTS = 5  # pytest's exit code for an empty selection


def run(*, quick: bool) -> ExitCode:
    """Check style and types, run the tests (quick: those not marked slow) and print a summary.

    With CI=true in the environment, a skipped test is a failure.

    Raises:
        LabError: the test tools are not installed.
    """
    _require_tools()
    tools = _unpack_packages()
    failed = [title for title, command in _CHECKS.items() if _run(title, command) != 0]
    counts: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    took: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for title, (marked, options) in (_QUICK_PARTS if quick else _PARTS).items():
            began = time.monotonic()
            report = Path(folder, "report.xml")
            selection = f"{marked} and not slow" if quick else marked
            command = ["pytest", "-m", selection, *options, f"--junitxml={report}"]
            if _run(title, command, LAB_TEST_TOOLS=tools) not in (0, _NO_TESTS):
                failed.append(title)
            _count(report, counts, skipped)
            took.append(f"{title} {(time.monotonic() - began) / 60:.1f} min")
    print(f"\n== summary\n{', '.join(took)}")
    return _summary(failed, counts, skipped)


def _require_tools() -> None:
    needed = ("pytest", "pytest_timeout", "xdist", "hypothesis", "playwright", "ruff", "mypy")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise LabError(
            f"the tests need {', '.join(missing)}, which this Python lacks",
            where=sys.executable,
            hint="`./fab test` makes an environment that has them",
        )


def _unpack_packages() -> str:
    """Return the folder of the non-Python tools, or a sentence that says why there is none."""
    print("== packages for the tests", flush=True)
    command = [sys.executable, str(PROJECT / "tests/debian.py")]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip()
    print(answer, flush=True)
    return answer


def _run(title: str, module: list[str], **environment: str) -> int:
    """Run a Python module with its arguments in the project; return its exit code."""
    print(f"\n== {title}", flush=True)
    command = [sys.executable, "-m", *module]
    return subprocess.run(command, cwd=PROJECT, env=os.environ | environment).returncode


def _count(report: Path, counts: Counter[str], skipped: Counter[str]) -> None:
    """Add the results in a file of JUnit's format; `skipped` counts the reasons of skips."""
    if not report.exists():  # pytest itself did not start
        return
    for case in ElementTree.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skip is not None and skip.get("type") != "pytest.xfail":
            counts["skipped"] += 1
            skipped[skip.get("message", "")] += 1
        else:
            counts["passed"] += 1
    report.unlink()


def _summary(failed: list[str], counts: Counter[str], skipped: Counter[str]) -> ExitCode:
    complete = not skipped or os.environ.get("CI") != "true"
    for reason, number in skipped.items():
        print(f"{number} skipped: {reason}")
    if not complete:
        print("failed: in CI no test may be skipped")
    for title in failed:
        print(f"failed: {title}")
    # CI reads this line, so it is the last and counts all parts.
    print(", ".join(f"{counts[result]} {result}" for result in ("passed", "failed", "skipped")))
    good = complete and not failed and counts["passed"]
    return ExitCode.EXPECTED if good else ExitCode.UNEXPECTED
