"""The page that shows many runs beside each other, and marks what differs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushpull.analysis.many_runs import Row, Table
from pushpull.core.os_errors import file_errors
from pushpull.report.many_runs_text import facts, kind_of, letter
from pushpull.report.page import plain, rendered

NAME = "compared.html"
_CLASSES = {"good": "as-expected", "bad": "failed", "open": "not-observed"}


def make(folder: Path, tables: Sequence[Table], refused: Sequence[tuple[str, str]]) -> Path:
    """Write the page into a folder of runs; return its path.

    Raises:
        LabError: the file can't be written.
    """
    file, new = folder / NAME, folder / f".{NAME}"
    html = page(tables, refused)
    with file_errors(file):
        new.unlink(missing_ok=True)  # never write through what is there, such as a link
        with new.open("x", encoding="utf-8", errors="backslashreplace") as made:
            made.write(html)
        new.replace(file)
    return file


def page(tables: Sequence[Table], refused: Sequence[tuple[str, str]]) -> str:
    """Return the page of many runs, and of those that were left out with the reason."""
    context = {
        "runs": sum(len(table.rows) for table in tables),
        "differing": sum(table.differing for table in tables),
        "tables": [_table(table) for table in tables],
        "refused": [(plain(name), plain(reason)) for name, reason in refused],
    }
    return rendered("many_runs.html", context)


def _table(table: Table) -> dict[str, Any]:
    names = [letter(k) for k in range(len(table.claims))]
    return {
        "title": plain(table.title),
        "claims": [
            {
                "letter": name,
                "statement": plain(claim.statement),
                "expected": "" if claim.expected == "holds" else claim.expected,
            }
            for name, claim in zip(names, table.claims, strict=True)
        ],
        "usual": facts(table.usual),
        "has_values": any(row.values for row in table.rows),
        "rows": [_row(row, names) for row in table.rows],
    }


def _row(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {
        "name": plain(row.name),
        "cells": [
            {"letter": name, "verdict": cell.verdict, "kind": _CLASSES[kind_of(cell)],
             "differs": cell.counts}
            for name, cell in zip(names, row.cells, strict=True)
        ],
        "unusual": facts(row.unusual),
        "measured": [f"{plain(name)}: {plain(value)}" for name, value in row.values.items()],
        "edited": plain(row.edited),
        "notes": [plain(note) for note in row.notes],
        "differs": bool(row.edited) or any(cell.counts for cell in row.cells),
    }  # fmt: skip
