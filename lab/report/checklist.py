"""The checklist of all claims: on a screen, as JSON, and as the XML that CI systems read."""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

from rich.text import Text

from lab.errors import LabError
from lab.experiment import Claim, Experiment
from lab.report.console import ALARM, console_on, print_hanging
from lab.report.text import harmless

_LONGEST = 2000  # characters


class Item(Protocol):
    """A claim, and what it last came to."""

    @property
    def experiment(self) -> Experiment: ...
    @property
    def claim(self) -> Claim: ...
    @property
    def title(self) -> str: ...
    @property
    def verdict(self) -> Mapping[str, Any] | None: ...
    @property
    def run(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def decided(self) -> bool: ...
    @property
    def as_expected(self) -> bool: ...


def print_checklist(items: Sequence[Item]) -> None:
    """Print it: by experiment its source and minutes, by claim its last verdict and its run."""
    console = console_on(sys.stdout)
    ascii_only = console.options.ascii_only
    for title, group in itertools.groupby(items, key=lambda item: item.title):
        claims = list(group)
        experiment = claims[0].experiment
        minutes = f"{experiment.planned_s() / 60:.1f} min"
        print_hanging(console, Text(f"{title}  ", "bold"), Text(f"({minutes})"))
        print_hanging(console, Text("  "), Text(_plain(experiment.source), "dim"))
        for item in claims:
            mark, style = _mark(item, ascii_only=ascii_only)
            print_hanging(console, Text(f"  {mark} ", style), Text(_plain(item.claim.statement)))
            for label, text in _rows(item):
                print_hanging(console, Text(f"      {label:<9} ", "dim"), Text(_plain(text)))
        console.print()
    decided = sum(item.decided for item in items)
    good = sum(item.as_expected for item in items)
    counted = "1 claim" if len(items) == 1 else f"{len(items)} claims"
    console.print(f"{counted}: {decided} decided, {good} of them as expected")
    if decided < len(items):
        console.print("To decide more: ./fab run-experiment --experiment NAME")


def write_json(items: Sequence[Item], path: Path) -> None:
    """Write it as a list of objects, one a claim; LabError where that can't be."""
    _write(path, json.dumps([_object(item) for item in items], indent=2) + "\n")


def write_junit(items: Sequence[Item], path: Path) -> None:
    """Write it as JUnit's XML: an unexpected verdict is a failure, an undecided one is skipped."""
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
            case = ElementTree.SubElement(suite, "testcase", classname=title, name=item.claim.id)
            why = _plain(item.verdict["why"]) if item.verdict else "never run"
            if not item.decided:
                ElementTree.SubElement(case, "skipped", message=why)
            elif not item.as_expected:
                ElementTree.SubElement(case, "failure", message=f"{item.outcome}: {why}")
    ElementTree.indent(root)
    _write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _mark(item: Item, *, ascii_only: bool) -> tuple[str, str]:
    if not item.decided:
        return "?", "yellow"
    if item.as_expected:
        return ("+" if ascii_only else "✓"), "green"
    return ("x" if ascii_only else "✗"), ALARM


def _rows(item: Item) -> Iterator[tuple[str, str]]:
    known = ", as known" if item.as_expected and item.outcome == "refuted" else ""
    yield "verdict", f"{item.outcome}{known}{f', in {item.run}' if item.run else ''}"
    if item.claim.rests_on:
        yield "rests on", item.claim.rests_on
    if item.claim.disputed_by:
        yield "disputed", item.claim.disputed_by


def _object(item: Item) -> dict[str, Any]:
    experiment, claim = item.experiment, item.claim
    return {
        "id": f"{item.title}.{claim.id}",
        "statement": claim.statement,
        "source": claim.source or experiment.source,
        "rests_on": claim.rests_on,
        "disputed_by": claim.disputed_by,
        "experiment": experiment.name,
        "minutes": round(experiment.planned_s() / 60, 2),
        "expected": claim.expected.value,
        "by_chance": claim.by_chance,
        "verdict": item.outcome,
        "why": item.verdict["why"] if item.verdict else "",
        "run": item.run or None,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8", "backslashreplace")
    except OSError as error:
        raise LabError(
            f"can't be written: {error.strerror}", where=str(path), cure="name another file"
        ) from error


def _plain(text: object) -> str:
    return harmless(" ".join(str(text).split()), _LONGEST)
