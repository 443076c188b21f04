"""The page of a matrix: what differs first, then all claims, then the ways of leaving."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pushpull.analysis.matrix import Answer, Matrix, Row, Way
from pushpull.analysis.outcome_table import MessageCounts, counted, noticed, recovered
from pushpull.core.os_errors import file_errors
from pushpull.report.page import plain, rendered

_KINDS = {
    "✓": "holds",
    "✗": "refuted",
    "±": "some",
    "?": "unseen",
    "-": "inapplicable",
    " ": "unseen",
}


def write(matrix: Matrix, path: Path) -> Path:
    """Write the page beside the run directories, to which it links; return its path."""
    with file_errors(path):
        path.write_text(page(matrix), "utf-8", "backslashreplace")
    return path


def page(matrix: Matrix) -> str:
    """Return the page. It loads nothing, and needs no script."""
    groups = itertools.groupby(matrix.rows, key=lambda row: row.title)
    context = {
        "columns": [(plain(name), plain(matrix.summaries[name])) for name in matrix.columns],
        "groups": [(plain(title), [_row(row) for row in rows]) for title, rows in groups],
        "differing": [_difference(row) for row in matrix.differing],
        "claims": len(matrix.rows),
        "unexpected": matrix.unexpected,
        "repeat": matrix.repeat,
        "ways": [(*_named(way.title), list(_costs(way, matrix.columns))) for way in matrix.ways],
        "left_out": [(plain(name), plain(why)) for name, why in matrix.left_out.items()],
    }
    return rendered("matrix.html", context)


def _named(title: str) -> tuple[str, str]:
    """Return the name of a variant and its experiment, or of an experiment without variants."""
    name, _, variant = plain(title).rpartition(":")
    return variant, name


def _row(row: Row) -> dict[str, Any]:
    return {
        "id": f"{plain(row.title)}.{plain(row.claim)}",
        "statement": plain(row.statement),
        "differs": bool(row.odd),
        "answers": [_answer(name, a, odd=name in row.odd) for name, a in row.answers.items()],
    }


def _answer(name: str, answer: Answer, *, odd: bool) -> dict[str, Any]:
    low, high = answer.proportion.wilson()
    return {
        "name": plain(name),
        "kind": _KINDS[answer.sign],
        "sign": answer.sign,
        "verdict": answer.verdict,
        "odd": odd,
        "unexpected": answer.decided and not answer.as_expected,
        "expected": answer.asked.expected,
        "known": answer.asked.because if answer.as_expected else "",
        "because": plain(answer.asked.because),
        "rests_on": plain(answer.asked.rests_on),
        "held": f"{answer.proportion.held} of {answer.proportion.runs}" if answer.decided else "",
        "interval": f"{low * 100:.0f} to {high * 100:.0f} %" if answer.decided else "",
        "why": plain(answer.why),
        "run": answer.run,
    }


def _difference(row: Row) -> dict[str, Any]:
    """Return a claim on which implementations disagree: those like most, then the others."""
    usual = [_answer(n, a, odd=False) for n, a in row.answers.items() if a.verdict == row.usual]
    return {
        "title": plain(row.title),
        "statement": plain(row.statement),
        "usual": usual[0],
        "usual_names": [one["name"] for one in usual],
        "odd": [_answer(name, row.answers[name], odd=True) for name in row.odd],
    }


def _costs(way: Way, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield for each implementation what the way of leaving costs."""
    for name in columns:
        found = way.counts.get(name, ())
        yield {
            "name": plain(name),
            "run": way.runs.get(name, ""),
            **(_cost(found) if found else {}),
        }


def _cost(found: Sequence[MessageCounts]) -> dict[str, Any]:
    worst = {column: max(getattr(one, column) for one in found) for column in _COLUMNS}
    return {
        "figures": [(word, counted(found, c), worst[c] > 0) for c, word in _COLUMNS.items()],
        "noticed": noticed(found),
        "recovered": recovered(found),
        "kind": "lost" if worst["never"] else "late" if worst["late"] or worst["twice"] else "none",
        "sent": counted(found, "sent"),
    }


_COLUMNS = {"never": "lost", "late": "late", "twice": "twice"}
