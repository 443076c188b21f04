"""Checks an author's table: every mistake gets one message, with its line and a remedy."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pushpull.analysis.campaign import Cell
from pushpull.analysis.reproduction import Published, Row
from pushpull.cli import run_experiment, table_file
from pushpull.cli.call import Call, with_setting
from pushpull.cli.table_file import KEYS, NEEDED, WrittenRow
from pushpull.core.errors import LabError
from pushpull.core.verdict import Need
from pushpull.engine.experiment import Experiment
from pushpull.experiments import catalogue
from pushpull.machines.inventory.nodes import Mistakes, shown

_MOST_RUNS = 100_000
_RUNS, _WITHIN = 500, 0.1  # unless a row says otherwise
_NEEDS = {
    "always": Need.ALWAYS,
    "most": Need.MOST,
    "in most runs": Need.MOST,
    "never": Need.NEVER,
}
_PUBLISHED = "always, most, never, or a proportion: 0.97, 97% or 97/100"


def read(file: Path, call: Call) -> list[Row]:
    """Return the rows of a table.

    Arguments:
        file: a `.yaml`, `.yml` or `.csv` file. Paths of experiments in it begin at its folder.
        call: what runs are made with, besides what a row says.

    Raises:
        LabError: the file can't be read, or has mistakes; names all of them with their lines.
    """
    mistakes = Mistakes(str(file))
    written = table_file.rows(file, mistakes)
    rows = [row for raw in written if (row := _checked(raw, file.parent, call, mistakes))]
    seen: dict[object, int] = {}
    for row in rows:
        first = seen.setdefault((row.experiment, row.cell, row.claim), row.line)
        if first != row.line:
            mistakes.add(row.line, f"this is the same as line {first}", "keep one of them")
    if mistakes:
        raise LabError(str(mistakes.error()))
    return rows


def _checked(raw: WrittenRow, folder: Path, call: Call, mistakes: Mistakes) -> Row | None:
    """Return the row, or None if it has mistakes."""
    before = len(mistakes)
    for name, (line, _) in raw.texts.items():
        if name not in KEYS:
            mistakes.add(line, f"there is no key {shown(name)}", _close(name, KEYS))
    for name in NEEDED:
        if not raw.texts.get(name, (0, ""))[1]:
            mistakes.add(raw.line, f"`{name}` is missing", "every row has one")
    published = _published(raw, mistakes)
    runs = _whole(raw, mistakes)
    line, wanted = raw.texts.get("experiment", (raw.line, ""))
    name, experiment = _experiment(wanted, folder, line, mistakes) if wanted else ("", None)
    if experiment is None:
        return None
    claim = _claim(raw, experiment, mistakes)
    cell = Cell(
        experiment.variants[0], tuple((key, text) for key, (_, text) in raw.parameters.items())
    )
    _check_settings(raw, name, cell, call, mistakes)
    if len(mistakes) > before or published is None or claim is None:
        return None
    return Row(
        line=raw.line, experiment=name, cell=cell, claim=claim[0], statement=claim[1],
        published=published, runs=runs,
    )  # fmt: skip


def _experiment(
    wanted: str, folder: Path, line: int, mistakes: Mistakes
) -> tuple[str, Experiment | None]:
    name, variant = catalogue.split(wanted)
    if name not in catalogue.names() and (folder / name).exists():
        name = str(folder / name)
    try:
        found = catalogue.load(name if variant is None else f"{name}:{variant}")
    except LabError as error:
        mistakes.add(line, error.what, error.hint or "correct it")
        return name, None
    if len(found.variants) > 1:
        hint = f"name one: {', '.join(f'{name}:{each}' for each in found.variants[:20])}"
        mistakes.add(line, f"'{name}' has several variants", hint)
        return name, None
    return name, found


def _claim(raw: WrittenRow, experiment: Experiment, mistakes: Mistakes) -> tuple[str, str] | None:
    line, wanted = raw.texts.get("claim", (raw.line, ""))
    known = {claim.id: claim.statement for claim in experiment.claims}
    if wanted in known:
        return wanted, known[wanted]
    if wanted:
        what = f"'{experiment.name}' has no claim {shown(wanted)}"
        mistakes.add(line, what, _close(wanted, list(known)))
    return None


def _published(raw: WrittenRow, mistakes: Mistakes) -> Published | None:
    line, text = raw.texts.get("published", (raw.line, ""))
    within_line, within_text = raw.texts.get("within", (raw.line, str(_WITHIN)))
    within = _decimal(within_text)
    if within is None or not 0.01 <= within <= 0.5:
        mistakes.add(within_line, f"`within` is {shown(within_text)}", "give 0.01 to 0.5")
        return None
    if not text:
        return None
    if text in _NEEDS:
        return Published(text, _NEEDS[text], None, within)
    if (proportion := _proportion(text)) is None:
        mistakes.add(line, f"`published` is {shown(text)}", f"give {_PUBLISHED}")
        return None
    return Published(text, None, proportion, within)


def _proportion(text: str) -> float | None:
    if match := re.fullmatch(r"([0-9]{1,9}) ?/ ?([0-9]{1,9})", text):
        held, runs = int(match[1]), int(match[2])
        return held / runs if runs and held <= runs else None
    percent = text.endswith("%")
    value = _decimal(text.removesuffix("%").strip())
    if value is None:
        return None
    value = value / 100 if percent else value
    return value if 0 <= value <= 1 else None


def _decimal(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", text) else None


def _whole(raw: WrittenRow, mistakes: Mistakes) -> int:
    line, text = raw.texts.get("runs", (raw.line, str(_RUNS)))
    if re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= _MOST_RUNS:
        return int(text)
    hint = f"give a whole number from 1 to {_MOST_RUNS:,}"
    mistakes.add(line, f"`runs` is {shown(text)}", hint)
    return _RUNS


def _check_settings(raw: WrittenRow, name: str, cell: Cell, call: Call, mistakes: Mistakes) -> None:
    """Check each parameter as `fab sweep --vary` does."""
    for setting, (line, value) in raw.parameters.items():
        try:
            changed = with_setting(_with(call, name, cell.variant), setting, value)
            run_experiment.experiments_of(changed)
        except LabError as error:
            mistakes.add(line, error.what.replace("--vary ", ""), error.hint.replace("--vary ", ""))


def _with(call: Call, name: str, variant: str) -> Call:
    return replace(call, experiment=":".join(filter(None, [name, variant])))


def _close(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name[:80], known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
