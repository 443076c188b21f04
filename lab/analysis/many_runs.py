"""Many runs of the same experiments beside each other: what most have, and which differ."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushpull.core.parameters import of_run, text
from pushpull.core.verdict import Outcome
from pushpull.runs.store import StoredRun

_Verdict = Mapping[str, Any]
NO_CLAIM = "-"
_SHORT_HASH = 8
_VERSIONS = ("kernel", "python", "libzmq", "pyzmq")
_MOST_OWN = 20  # versions of other programs


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One of the runs.

    Attributes:
        name: unique among them.
        title: the experiment, with its variant if there is one.
        facts: how and where it was run, by name.
        verdicts: as verdicts.json has them.
        edited: which code was edited before the run, in words; empty if none was.
        values: the quantities that its programs measured, by name, in a few words each.
        notes: sentences that a reader must know.
        identity: equal in two entries that are the same run.
    """

    name: str
    title: str
    facts: Mapping[str, str]
    verdicts: Sequence[_Verdict]
    edited: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...]
    identity: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A column: a claim, what the lab expects, and the verdict of most runs."""

    id: str
    statement: str
    expected: str
    usual: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The verdict of one run on one claim, `-` for none; `differs` from that of most runs."""

    verdict: str
    expected: str
    by_chance: bool
    differs: bool

    @property
    def counts(self) -> bool:
        """Whether it differs, and not by chance."""
        return self.differs and not (self.by_chance and self.verdict == Outcome.NOT_OBSERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A run: its cells in the order of the claims, and the facts that few share, by name.

    `edited` is a note on edited code; `values` are those of `Entry`.
    """

    name: str
    cells: tuple[Cell, ...]
    facts: Mapping[str, str]
    unusual: Mapping[str, str]
    edited: str
    values: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All runs of one experiment, or of one variant of it; `usual` are the facts of most."""

    title: str
    claims: tuple[Claim, ...]
    rows: tuple[Row, ...]
    usual: Mapping[str, str]

    @property
    def differing(self) -> int:
        """The number of verdicts that differ from those of most runs, other than by chance."""
        return sum(cell.counts for row in self.rows for cell in row.cells)

    @property
    def edited(self) -> int:
        """The number of runs that edited code made."""
        return sum(bool(row.edited) for row in self.rows)


def facts_of(stored: StoredRun) -> dict[str, str]:
    """Return how and where a run was made."""
    about = stored.description
    parameters = about["parameters"]
    machines: Mapping[str, Mapping[str, Any]] = about.get("machines", {})
    facts = {
        "messages": f"{parameters['count']:,}",
        "interval": f"{parameters['interval']:g} s",
        "options": " ".join(parameters.get("options", ())),
        **{name: text(value) for name, value in of_run(about).items()},
        "lab": str(about.get("environment", {}).get("lab", "")),
        "own code": str(about.get("code", {}).get("experiment", ""))[:_SHORT_HASH],
        "implementation": str(about.get("implementation", "")),
        "provider": str(about.get("provider", "")),
        "machines": str(len(about.get("inventory", ()))),
    }
    own = sorted({name for of in machines.values() for name in of}.difference(_VERSIONS))
    for name in (*_VERSIONS, *own[:_MOST_OWN]):
        found = {str(of[name]) for of in machines.values() if of.get(name)}
        facts[name] = ", ".join(sorted(found)) or str(about.get("environment", {}).get(name) or "")
    return {name: value for name, value in facts.items() if value}


def tables(entries: Iterable[Entry]) -> list[Table]:
    """Return a table for each experiment, its runs in the given order."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.title, []).append(entry)
    return [_table(title, groups[title]) for title in sorted(groups)]


def _table(title: str, entries: Sequence[Entry]) -> Table:
    judged = [{v["id"]: v for v in entry.verdicts} for entry in entries]
    claims = [_claim(id_, judged) for id_ in dict.fromkeys(id_ for its in judged for id_ in its)]
    usual = _usual_facts(entries)
    firsts: dict[tuple[object, ...], str] = {}
    rows = []
    for entry, verdicts in zip(entries, judged, strict=True):
        first = firsts.setdefault(entry.identity, entry.name)
        copied = () if first == entry.name else (f"the same run as {first}",)
        rows.append(
            Row(
                name=entry.name,
                cells=tuple(_cell(claim, verdicts.get(claim.id)) for claim in claims),
                facts=entry.facts,
                unusual={
                    name: entry.facts.get(name, NO_CLAIM)
                    for name in {**usual, **entry.facts}
                    if entry.facts.get(name) != usual.get(name)
                },
                edited=entry.edited,
                values=entry.values,
                notes=(*copied, *entry.notes),
            )
        )
    return Table(title=title, claims=tuple(claims), rows=tuple(rows), usual=usual)


def _claim(id_: str, judged: Sequence[Mapping[str, _Verdict]]) -> Claim:
    verdicts = [its[id_] for its in judged if id_ in its]
    expected = str(verdicts[0]["expected"])
    # Where as many say this as that, the expected one is the usual one.
    counts = Counter(str(v["verdict"]) for v in verdicts)
    usual = max(counts, key=lambda outcome: (counts[outcome], outcome == expected))
    return Claim(id=id_, statement=str(verdicts[0]["statement"]), expected=expected, usual=usual)


def _cell(claim: Claim, verdict: _Verdict | None) -> Cell:
    if verdict is None:
        return Cell(verdict=NO_CLAIM, expected=claim.expected, by_chance=False, differs=True)
    return Cell(
        verdict=str(verdict["verdict"]),
        expected=str(verdict["expected"]),
        by_chance=bool(verdict["by_chance"]),
        differs=verdict["verdict"] != claim.usual,
    )


def _usual_facts(entries: Sequence[Entry]) -> dict[str, str]:
    names = dict.fromkeys(name for entry in entries for name in entry.facts)
    counts = {name: Counter(entry.facts.get(name) for entry in entries) for name in names}
    usual = {name: count.most_common(1)[0][0] for name, count in counts.items()}
    return {name: value for name, value in usual.items() if value is not None}
