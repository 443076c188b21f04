"""The verdicts of a run on a screen: failures first and in full, the rest in short."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from pushpull.analysis.event_text import EventDescriber
from pushpull.core.records import Event
from pushpull.core.text import harmless
from pushpull.report.console import ALARM, console_on, print_hanging

_LONGEST_TEXT = 2000  # characters
_MOST_NAMED = 20  # message numbers
_MOST_LISTED = 5  # lines, events

Stored = Mapping[str, Any]  # a verdict, as verdicts.json has it

# The kinds of outcome: how the summary names each, and its colour.
KINDS = {
    "failed": ("not as expected", ALARM),
    "not observed": ("not observed", "yellow"),
    "as expected": ("as expected", "green"),
    "refuted as expected": ("refuted (as expected)", "green"),
    "not applicable": ("not applicable", "dim"),
}

# Those that are shown in short: the sign, its colour, and the words before the explanation.
_SHORT = {
    "as expected": ("✓", "green", ""),
    "refuted as expected": ("✓", "green", "refuted (as expected): "),
    "not applicable": ("-", "dim", "not applicable: "),
}


def show_verdicts(verdicts: Sequence[Stored], *, file: TextIO, notices: Sequence[str] = ()) -> None:
    """Print verdicts as stored in verdicts.json: unexpected ones first, a summary last.

    `notices` are sentences about the whole run (see `cut.notices`), printed before the verdicts.
    """
    console = console_on(file)
    for notice in notices:
        print_hanging(console, Text("! ", ALARM), Text(_plain(notice), ALARM))
    kinds = {kind: [v for v in verdicts if kind_of(v) == kind] for kind in KINDS}
    for verdict in kinds["failed"]:
        _print_in_full(console, verdict, "✗", ALARM)
    for verdict in sorted(kinds["not observed"], key=lambda v: bool(v.get("by_chance"))):
        _print_in_full(console, verdict, "?", "yellow")
    rest = ("as expected", "refuted as expected", "not applicable")
    _print_in_short(console, [v for v in verdicts if kind_of(v) in rest])
    print_hanging(console, Text(), _count(kinds))


def kind_of(verdict: Stored) -> str:
    """Return which of KINDS a stored verdict is."""
    if verdict["verdict"] in ("not observed", "not applicable"):
        return str(verdict["verdict"])
    if verdict["verdict"] != verdict["expected"]:
        return "failed"
    return "refuted as expected" if verdict["verdict"] == "refuted" else "as expected"


def _print_in_full(console: Console, verdict: Stored, mark: str, style: str) -> None:
    name = Text.assemble((_plain(verdict["id"]), style), *_marks(verdict))
    print_hanging(console, Text(f"{_sign(console, mark)} ", style), name)
    for label, text in _rows(verdict):
        print_hanging(console, Text(f"  {label:<8}  ", style="dim"), Text(text))
    console.print()


def _marks(verdict: Stored) -> Iterator[str]:
    if verdict.get("by_chance") and verdict["verdict"] == "not observed":
        yield " (inconclusive, not counted)"
    if verdict.get("partial"):
        yield " (partial: the run was interrupted)"


def _rows(verdict: Stored) -> Iterator[tuple[str, str]]:
    evidence = verdict.get("evidence") or {}
    because = f": {_plain(verdict['because'])}" if verdict.get("because") else ""
    yield "claimed", _plain(verdict["statement"])
    if verdict.get("source"):
        yield "where", _plain(verdict["source"])
    if verdict.get("rests_on"):
        yield "rests on", _plain(verdict["rests_on"])
    if verdict.get("disputed_by"):
        yield "disputed", _plain(verdict["disputed_by"])
    yield "expected", f"{verdict['expected']}{because}"
    yield "observed", f"{verdict['verdict']}: {_plain(verdict['why'])}"
    if messages := evidence.get("messages"):
        shown = ", ".join(str(number) for number in messages[:_MOST_NAMED])
        rest = evidence.get("messages_in_all", len(messages)) - len(messages[:_MOST_NAMED])
        yield "messages", shown + (f" … and {rest:,} more" if rest > 0 else "")
    yield from _listed("events", events_in_words(evidence.get("events", ())))


def _listed(label: str, rows: Sequence[str]) -> Iterator[tuple[str, str]]:
    for row in rows[:_MOST_LISTED]:
        yield label, row
        label = ""
    if len(rows) > _MOST_LISTED:
        yield "", f"… and {len(rows) - _MOST_LISTED:,} more"


def events_in_words(events: Sequence[Stored]) -> list[str]:
    """Return the events of a verdict's evidence in words, each with its time."""
    describer, described = EventDescriber(), []
    for stored in events:
        own = {key: stored[key] for key in ("t", "event", "machine", "process") if key in stored}
        event = Event(**own, details={k: v for k, v in stored.items() if k not in own})
        words = describer.describe(event) or " ".join(
            word for word in (event.event, event.machine and f"on {event.machine}") if word
        )
        seconds, rest = divmod(event.t, 1)
        clock = time.strftime("%H:%M:%S", time.gmtime(seconds))
        described.append(f"{clock}.{int(rest * 1000):03d} UTC  {_plain(words)}")
    return described


def _print_in_short(console: Console, verdicts: Sequence[Stored]) -> None:
    names = [_plain(verdict["id"]).partition(".")[0] for verdict in verdicts]
    before = ""
    for name, verdict in zip(names, verdicts, strict=True):
        if len(set(names)) > 1 and name != before:
            console.print(Text(name, style="bold"), soft_wrap=True)
        before = name
        statement = Text.assemble(_plain(verdict["statement"]), *_marks(verdict))
        mark, style, label = _SHORT[kind_of(verdict)]
        print_hanging(console, Text(f"{_sign(console, mark)} ", style=style), statement)
        why = Text.assemble((label, "bold"), (_plain(verdict["why"]), "dim"))
        print_hanging(console, Text("  "), why)
    if verdicts:
        console.print()


def _count(kinds: Mapping[str, Sequence[Stored]]) -> Text:
    total = sum(map(len, kinds.values()))
    summary = Text(f"{total} claim{'s' * (total != 1)}")
    separator = ": "
    for kind, found in kinds.items():
        if found:
            words, style = KINDS[kind]
            summary.append(separator).append(f"{len(found)} {words}", style)
            separator = "; "
    return summary


def _sign(console: Console, mark: str) -> str:
    return {"✓": "+", "✗": "x"}.get(mark, mark) if console.options.ascii_only else mark


def _plain(text: object) -> str:
    return harmless(" ".join(str(text).split()), _LONGEST_TEXT)
