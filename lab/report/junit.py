"""The claims of runs as JUnit XML, which CI systems read."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pushpull.analysis.tally import Tally
from pushpull.core.os_errors import file_errors
from pushpull.core.text import harmless
from pushpull.core.verdict import Outcome

_LONGEST = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Case:
    """A claim, or a run as a whole.

    Attributes:
        identity: a claim's id, or the experiment's name and `the_run`.
        result: `failure`, `error`, `skipped`, or empty for success.
        message: why.
    """

    identity: str
    result: str
    message: str


def of_verdicts(verdicts: Iterable[Mapping[str, Any]]) -> list[Case]:
    """Return the cases of single runs: an unexpected verdict is a failure."""
    return [Case(v["id"], _result(v), f"{v['verdict']}: {v['why']}") for v in verdicts]


def of_spoiled(experiment: str, why: str) -> Case:
    """Return the case of a run that was cut, given up or spoiled, whatever its verdicts say."""
    return Case(f"{experiment}.the_run", "error", why)


def of_tallies(tallies: Mapping[str, Tally], *, anytime: bool) -> list[Case]:
    """Return the cases of many runs: a claim that doesn't hold as often as it must is a failure."""
    return [
        Case(identity, _result_of_many(tally, anytime=anytime), _held(tally))
        for identity, tally in tallies.items()
    ]


def write(cases: Iterable[Case], path: Path) -> None:
    """Write the cases, a suite for each experiment; LabError if the file can't be written."""
    root = ElementTree.Element("testsuites", name="run-experiment")
    for title, group in itertools.groupby(cases, key=lambda case: case.identity.rpartition(".")[0]):
        found = list(group)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_plain(title),
            tests=str(len(found)),
            failures=str(sum(case.result == "failure" for case in found)),
            errors=str(sum(case.result == "error" for case in found)),
            skipped=str(sum(case.result == "skipped" for case in found)),
        )
        for case in found:
            name = _plain(case.identity.rpartition(".")[2])
            one = ElementTree.SubElement(suite, "testcase", classname=_plain(title), name=name)
            if case.result:
                ElementTree.SubElement(one, case.result, message=_plain(case.message))
            else:
                ElementTree.SubElement(one, "system-out").text = _plain(case.message)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
    with file_errors(path):
        path.write_text(text, "utf-8", "backslashreplace")


def _result(verdict: Mapping[str, Any]) -> str:
    if verdict["verdict"] in (Outcome.NOT_OBSERVED, Outcome.NOT_APPLICABLE):
        return "skipped"
    return "" if verdict["verdict"] == verdict["expected"] else "failure"


def _result_of_many(tally: Tally, *, anytime: bool) -> str:
    met = None if tally.why_not_applicable else tally.met(anytime=anytime)
    return "skipped" if met is None else "" if met else "failure"


def _held(tally: Tally) -> str:
    said = f"held in {tally.proportion.held} of {tally.proportion.runs} runs"
    return f"{said}, not observed in {tally.not_observed}" if tally.not_observed else said


def _plain(text: object) -> str:
    return harmless(" ".join(str(text).split()), _LONGEST)
