"""What of an author's table is reproduced: on a screen, as JSON, and as JUnit XML."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO
from xml.etree import ElementTree

from rich.text import Text

from pushpull.analysis.reproduction import Progress, Result
from pushpull.core.os_errors import file_errors
from pushpull.core.text import harmless
from pushpull.core.wording import counted
from pushpull.report.console import ALARM, console_on, print_hanging

_LONGEST = 2_000  # characters
_MARKS = {
    Result.REPRODUCED: ("✓", "+", "green"),
    Result.NOT_REPRODUCED: ("✗", "x", ALARM),
    Result.UNDECIDED: ("?", "?", "yellow"),
}


def print_table(rows: Sequence[Progress], *, file: TextIO) -> None:
    """Print for each row what was published, what was found, and what that decides."""
    console = console_on(file)
    for progress in rows:
        mark, plain, style = _MARKS[progress.result]
        head = Text(f"{plain if console.options.ascii_only else mark} ", style)
        print_hanging(console, head, Text(_plain(progress.row.statement)))
        indent = Text("  ")
        print_hanging(console, indent, Text(f"{_plain(progress.row.title)}", "dim"))
        print_hanging(console, indent, Text(f"published: {_published(progress)}", "dim"))
        print_hanging(console, indent, Text(f"here: {_found(progress)}", "dim"))
        print_hanging(console, indent, Text(progress.result, style))
    counts = Counter(progress.result for progress in rows)
    kinds = ", ".join(f"{counts[result]} {result}" for result in Result)
    console.print(f"\n{counted(len(rows), 'row')}: {kinds}")
    console.print("95 % intervals, valid at any number of runs; docs/reproduce.md explains them")


def write_json(rows: Sequence[Progress], table: Path, path: Path) -> None:
    """Write the table as JSON; LabError if the file can't be written."""
    value = {"table": str(table), "rows": [_object(progress) for progress in rows]}
    _write(path, json.dumps(value, indent=2) + "\n")


def write_junit(rows: Sequence[Progress], table: Path, path: Path) -> None:
    """Write JUnit XML: what isn't reproduced is a failure, what is undecided an error.

    LabError if the file can't be written.
    """
    counts = Counter(progress.result for progress in rows)
    root = ElementTree.Element("testsuites", name="reproduce")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=_plain(table.name),
        tests=str(len(rows)),
        failures=str(counts[Result.NOT_REPRODUCED]),
        errors=str(counts[Result.UNDECIDED]),
    )
    for progress in rows:
        row = progress.row
        case = ElementTree.SubElement(
            suite, "testcase", classname=_plain(row.title), name=_plain(row.claim)
        )
        message = f"published: {_published(progress)}; here: {_found(progress)}"
        if progress.result is Result.NOT_REPRODUCED:
            ElementTree.SubElement(case, "failure", message=message)
        elif progress.result is Result.UNDECIDED:
            ElementTree.SubElement(case, "error", message=f"can't tell; {message}")
    ElementTree.indent(root)
    _write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _object(progress: Progress) -> dict[str, Any]:
    row, found = progress.row, progress.proportion
    return {
        "line": row.line,
        "experiment": row.experiment,
        "variant": row.cell.variant,
        "parameters": dict(row.cell.settings),
        "claim": row.claim,
        "statement": row.statement,
        "published": row.published.text,
        "within": None if row.published.need else row.published.within,
        "result": progress.result,
        "held": found.held,
        "runs": found.runs,
        "not_observed": progress.not_observed,
        "interval": list(found.anytime()),
        "run_directories": progress.directories,
    }


def _published(progress: Progress) -> str:
    published = progress.row.published
    if published.need is not None:
        return str(published.need)
    return f"{_plain(published.text)} (within {published.within:g} of it)"


def _found(progress: Progress) -> str:
    found = progress.proportion
    if not found.runs:
        unseen = progress.not_observed
        return f"never exercised in {counted(unseen, 'run')}" if unseen else "no run"
    low, high = found.anytime()
    text = f"held in {found.held} of {counted(found.runs, 'run')} ({low:.1%} to {high:.1%})"
    return f"{text}, not observed in {progress.not_observed}" if progress.not_observed else text


def _write(path: Path, text: str) -> None:
    with file_errors(path):
        path.write_text(text, "utf-8", "backslashreplace")


def _plain(text: object) -> str:
    return harmless(" ".join(str(text).split()), _LONGEST)
