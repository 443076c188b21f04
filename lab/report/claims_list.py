"""The list of all claims: on a screen, as JSON, and as the JUnit XML that CI systems read."""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.text import Text

from pushpull.core.errors import LabError
from pushpull.core.project import COMMAND
from pushpull.core.text import harmless
from pushpull.core.verdict import Outcome
from pushpull.report.console import ALARM, console_on, print_hanging

_LONGEST = 2000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedClaim:
    """One claim and its last verdict.

    `experiment` is its experiment's name; `title` adds the variant if there is one. `verdict` and
    `run`, the run's name, come from the last run that decided the claim, if any.
    """

    title: str
    experiment: str
    experiment_source: str
    planned_s: float
    id: str
    statement: str
    source: str
    expected: str
    need: str
    by_chance: bool
    rests_on: str
    disputed_by: str
    verdict: Mapping[str, Any] | None = None
    run: str = ""

    @property
    def outcome(self) -> str:
        return "never run" if self.verdict is None else str(self.verdict["verdict"])

    @property
    def decided(self) -> bool:
        return self.verdict is not None and Outcome(self.outcome).decides

    @property
    def applicable(self) -> bool:
        return self.outcome != Outcome.NOT_APPLICABLE

    @property
    def as_expected(self) -> bool:
        return self.decided and self.outcome == self.expected


def print_checklist(items: Sequence[ListedClaim]) -> None:
    """Print each experiment's source and minutes, and each claim's last verdict and its run."""
    console = console_on(sys.stdout)
    ascii_only = console.options.ascii_only
    for title, group in itertools.groupby(items, key=lambda item: item.title):
        claims = list(group)
        minutes = f"{claims[0].planned_s / 60:.1f} min"
        print_hanging(console, Text(f"{title}  ", "bold"), Text(f"({minutes})"))
        print_hanging(console, Text("  "), Text(_plain(claims[0].experiment_source), "dim"))
        for item in claims:
            mark, style = _mark(item, ascii_only=ascii_only)
            print_hanging(console, Text(f"  {mark} ", style), Text(_plain(item.statement)))
            for label, text in _rows(item):
                print_hanging(console, Text(f"      {label:<9} ", "dim"), Text(_plain(text)))
        console.print()
    decided = sum(item.decided for item in items)
    applicable = sum(item.applicable for item in items)
    good = sum(item.as_expected for item in items)
    counted = "1 claim" if len(items) == 1 else f"{len(items)} claims"
    others = f", {len(items) - applicable} not applicable" if applicable < len(items) else ""
    console.print(f"{counted}: {decided} decided, {good} of them as expected{others}")
    if decided < applicable:
        console.print(f"To decide more: {COMMAND} run-experiment --experiment NAME")


def write_json(items: Sequence[ListedClaim], path: Path) -> None:
    """Write a list with one object for each claim; LabError if the file can't be written."""
    _write(path, json.dumps([_object(item) for item in items], indent=2) + "\n")


def write_junit(items: Sequence[ListedClaim], path: Path) -> None:
    """Write JUnit XML: an unexpected verdict is a failure, an undecided one is skipped."""
    root = ElementTree.Element("testsuites", name="claims")
    for title, group in itertools.groupby(items, key=lambda item: item.title):
        claims = list(group)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=title,
            tests=str(len(claims)),
            failures=str(sum(item.decided and not item.as_expected for item in claims)),
            skipped=str(sum(not item.decided for item in claims)),
        )
        for item in claims:
            case = ElementTree.SubElement(suite, "testcase", classname=title, name=item.id)
            why = _plain(item.verdict["why"]) if item.verdict else "never run"
            if not item.decided:
                ElementTree.SubElement(case, "skipped", message=why)
            elif not item.as_expected:
                ElementTree.SubElement(case, "failure", message=f"{item.outcome}: {why}")
    ElementTree.indent(root)
    _write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _mark(item: ListedClaim, *, ascii_only: bool) -> tuple[str, str]:
    if not item.applicable:
        return "-", "dim"
    if not item.decided:
        return "?", "yellow"
    if item.as_expected:
        return ("+" if ascii_only else "✓"), "green"
    return ("x" if ascii_only else "✗"), ALARM


def _rows(item: ListedClaim) -> Iterator[tuple[str, str]]:
    known = " (as expected)" if item.as_expected and item.outcome == "refuted" else ""
    yield "verdict", f"{item.outcome}{known}{f', in {item.run}' if item.run else ''}"
    if item.rests_on:
        yield "rests on", item.rests_on
    if item.disputed_by:
        yield "disputed", item.disputed_by


def _object(item: ListedClaim) -> dict[str, Any]:
    return {
        "id": f"{item.title}.{item.id}",
        "statement": item.statement,
        "source": item.source or item.experiment_source,
        "rests_on": item.rests_on,
        "disputed_by": item.disputed_by,
        "experiment": item.experiment,
        "minutes": round(item.planned_s / 60, 2),
        "expected": item.expected,
        "need": item.need,
        "by_chance": item.by_chance,
        "verdict": item.outcome,
        "why": item.verdict["why"] if item.verdict else "",
        "run": item.run or None,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8", "backslashreplace")
    except OSError as error:
        raise LabError(
            f"can't be written: {error.strerror}", where=str(path), hint="name another file"
        ) from error


def _plain(text: object) -> str:
    return harmless(" ".join(str(text).split()), _LONGEST)
