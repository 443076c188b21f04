"""The matrix of claims x implementations as CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pushpull.analysis.matrix import Answer, Matrix, Row
from pushpull.analysis.outcome_table import MessageCounts
from pushpull.core.os_errors import file_errors


def write(matrix: Matrix, stem: Path) -> list[Path]:
    """Write STEM.csv (claims), STEM-ways.csv (ways of leaving) and STEM.json; return their paths.

    A row of the first is one claim with one implementation, a row of the second one run.
    """
    texts = {
        stem.with_name(f"{stem.name}.csv"): _csv(_claims(matrix)),
        stem.with_name(f"{stem.name}-ways.csv"): _csv(_ways(matrix)),
        stem.with_name(f"{stem.name}.json"): json.dumps(_object(matrix), indent=1) + "\n",
    }
    for path, text in texts.items():
        with file_errors(path):
            path.write_text(text, "utf-8", "backslashreplace")
    return list(texts)


def _claims(matrix: Matrix) -> Iterator[dict[str, Any]]:
    for row in matrix.rows:
        for column, answer in row.answers.items():
            yield {
                "experiment": row.title,
                "claim": row.claim,
                "implementation": column,
                **_answer(row, column, answer),
            }


def _answer(row: Row, column: str, answer: Answer) -> dict[str, Any]:
    low, high = answer.proportion.wilson()
    return {
        "verdict": answer.verdict,
        "held": answer.proportion.held,
        "runs": answer.proportion.runs,
        "low": round(low, 4) if answer.decided else None,
        "high": round(high, 4) if answer.decided else None,
        "not_observed": answer.not_observed,
        "differs": column in row.odd,
        "expected": answer.asked.expected,
        "because": answer.asked.because,
        "rests_on": answer.asked.rests_on,
        "why": answer.why,
        "run": answer.run or None,
    }


def _ways(matrix: Matrix) -> Iterator[dict[str, Any]]:
    for way in matrix.ways:
        for column, found in way.counts.items():
            for one in found:
                yield {"way": way.title, "implementation": column, **_counts(one)}


def _counts(one: MessageCounts) -> dict[str, Any]:
    return {
        "sent": one.sent,
        "lost": one.never,
        "late": one.late,
        "twice": one.twice,
        "noticed_s": one.noticed_s,
        "repaired": one.had_repair,
        "recovered_s": one.recovery_s,
        "backlog_s": one.backlog_s,
        "lateness_s": one.lateness_s,
    }


def _object(matrix: Matrix) -> dict[str, Any]:
    return {
        "implementations": {name: matrix.summaries[name] for name in matrix.columns},
        "left_out": dict(matrix.left_out),
        "claims": [
            {
                "experiment": row.title,
                "claim": row.claim,
                "statement": row.statement,
                "answers": {name: _answer(row, name, a) for name, a in row.answers.items()},
            }
            for row in matrix.rows
        ],
        "ways": [
            {
                "way": way.title,
                "runs": {
                    name: [_counts(one) for one in found] for name, found in way.counts.items()
                },
            }
            for way in matrix.ways
        ],
    }


def _csv(found: Iterator[dict[str, Any]]) -> str:
    rows: Sequence[dict[str, Any]] = list(found)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
