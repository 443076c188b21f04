"""Reads the rows of a YAML or CSV file as text, with their lines: an author's table as written."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from pushpull.core.errors import LabError
from pushpull.core.wording import counted
from pushpull.machines.inventory.nodes import Mistakes, compose, line_of, shown
from pushpull.runs.regular_files import read_regular

NEEDED = ("experiment", "claim", "published")
KEYS = (*NEEDED, "parameters", "within", "runs")
_LARGEST = 1024**2
_MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """A row as it is written: its values as text with their lines, by key; parameters apart."""

    line: int
    texts: Mapping[str, tuple[int, str]]
    parameters: Mapping[str, tuple[int, str]]


def rows(file: Path, mistakes: Mistakes) -> list[WrittenRow]:
    """Return the rows of a file; note what is wrong with its form.

    Raises:
        LabError: it can't be read, or is neither YAML nor CSV by its name.
    """
    text = _text(file)
    return _of_csv(text, mistakes) if file.suffix == ".csv" else _of_yaml(text, mistakes)


def _text(file: Path) -> str:
    if file.suffix not in (".yaml", ".yml", ".csv"):
        raise LabError(
            "this is no table", where=str(file), hint="name a file that ends with .yaml or .csv"
        )
    try:
        return read_regular(file, largest=_LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabError("this is not text in UTF-8", where=str(file)) from error


def _of_yaml(text: str, mistakes: Mistakes) -> list[WrittenRow]:
    root = compose(text, mistakes, keys="`rows:`")
    if root is None:
        return []
    keys = {str(key.value): (key, value) for key, value in root.value}
    for name, (key, _) in keys.items():
        if name not in ("source", "rows"):
            mistakes.add(line_of(key), f"there is no key {shown(name)}", "there are: source, rows")
    _, rows = keys.get("rows", (None, None))
    if not isinstance(rows, yaml.SequenceNode) or not 0 < len(rows.value) <= _MOST_ROWS:
        line = line_of(rows) if rows is not None else 1
        mistakes.add(line, f"`rows:` is not a list of 1 to {_MOST_ROWS:,}", "begin each with `-`")
        return []
    return [raw for node in rows.value if (raw := _raw_row(node, mistakes))]


def _raw_row(node: yaml.Node, mistakes: Mistakes) -> WrittenRow | None:
    if not isinstance(node, yaml.MappingNode):
        hint = f"give it {', '.join(NEEDED)}"
        mistakes.add(line_of(node), "this row has no keys", hint)
        return None
    parts = _pairs(node, mistakes)
    parameters = parts.pop("parameters", None)
    found: dict[str, tuple[int, str]] = {}
    if isinstance(parameters, yaml.MappingNode):
        found = _scalars(_pairs(parameters, mistakes), mistakes)
    elif parameters is not None:
        mistakes.add(line_of(parameters), "`parameters` has no keys", "write `interval: 0.1`")
    return WrittenRow(line_of(node), _scalars(parts, mistakes), found)


def _pairs(node: yaml.MappingNode, mistakes: Mistakes) -> dict[str, yaml.Node]:
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in found:
            mistakes.add(line_of(key), f"the key {shown(name)} occurs twice", "delete one")
        found[name] = value
    return found


def _scalars(nodes: Mapping[str, yaml.Node], mistakes: Mistakes) -> dict[str, tuple[int, str]]:
    for name, node in nodes.items():
        if not isinstance(node, yaml.ScalarNode):
            mistakes.add(line_of(node), f"{shown(name)} is not a single value", "write one value")
    return {
        name: (line_of(node), str(node.value))
        for name, node in nodes.items()
        if isinstance(node, yaml.ScalarNode)
    }


def _of_csv(text: str, mistakes: Mistakes) -> list[WrittenRow]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        mistakes.add(reader.line_num, f"this is not CSV: {error}", "quote a text with commas in it")
        return []
    if len(rows) < 2 or len(rows) > _MOST_ROWS + 1:
        hint = f"the first line names the columns: {','.join(KEYS)}"
        mistakes.add(1, f"there are not 1 to {_MOST_ROWS:,} rows", hint)
        return []
    names = [name.strip() for name in rows[0][1]]
    found = []
    for line, cells in rows[1:]:
        if len(cells) != len(names):
            hint = "give each row as many values as there are columns"
            mistakes.add(
                line, f"{counted(len(cells), 'value')} for {counted(len(names), 'column')}", hint
            )
        elif any(cells):
            texts = {name: (line, cell.strip()) for name, cell in zip(names, cells, strict=True)}
            _, parameters = texts.pop("parameters", (line, ""))
            given = dict(_settings(parameters, line, mistakes))
            found.append(WrittenRow(line, {n: t for n, t in texts.items() if t[1]}, given))
    return found


def _settings(text: str, line: int, mistakes: Mistakes) -> Iterator[tuple[str, tuple[int, str]]]:
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            yield name, (line, value)
        else:
            mistakes.add(line, f"{shown(word)} is no parameter", "write `interval=0.1 SNDHWM=1`")
