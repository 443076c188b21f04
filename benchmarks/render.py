"""Turns the result of benchmarks into Markdown: all of it, or the table of the README. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

BEGIN = "<!-- speeds: made by `python -m benchmarks --record`; do not edit -->"
END = "<!-- /speeds -->"

_LONGEST = 200
_QUIET = 0.1  # the share of the processors that other programs may take
_LEGEND = "`lab: 0.50 x` means that the lab's value is half of this one."


def full(result: Mapping[str, Any]) -> str:
    """Return all figures of all contenders: medians, the lowest and highest values, ratios."""
    parts = ["\n".join(_machine(result))]
    parts += ["\n".join(_table(benchmark)) for benchmark in result["benchmarks"]]
    return "\n\n".join(parts) + "\n"


def brief(result: Mapping[str, Any]) -> str:
    """Return the table of the README: medians, and how many times as much the lab has or needs."""
    lines = ["| what | the lab | beside it |", "|---|---|---|"]
    for benchmark in result["benchmarks"]:
        first, *others = benchmark["contenders"]
        for figure in benchmark["figures"]:
            if figure["brief"]:
                beside = [text for one in others if (text := _beside(one, first, figure))]
                what = f"{benchmark['title']}: {figure['name']}"
                mine = _middle(first, figure) or _out(first)
                lines.append(f"| {what} | {mine} | {'; '.join(beside)} |")
    return "\n".join([*lines, "", _conditions(result)])


def replaced(page: str, text: str) -> str:
    """Return a page in which the marked block has this text.

    Raises:
        ValueError: the page has no such block.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no block between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _machine(result: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"- {name}: {value}" for name, value in result["machine"].items())
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    yield f"- contenders: {versions}"
    yield f"\nMedians; in brackets the lowest and the highest value. {_LEGEND}"


def _table(benchmark: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {benchmark['name']}: {benchmark['title']}\n"
    figures, contenders = benchmark["figures"], benchmark["contenders"]
    yield f"| | {' | '.join(figure['name'] for figure in figures)} |"
    yield f"|---|{'---|' * len(figures)}"
    for one in contenders:
        cells = [_cell(one, contenders[0], figure) for figure in figures]
        yield f"| {one['name']} | {' | '.join(cells)} |"
    yield ""
    yield (
        f"Rounds: {_rounds(benchmark)}; {benchmark['taken']}, lab {benchmark['revision']}; "
        f"before it, other programs took {benchmark['busy']:.0%} of the processors."
    )
    for one in contenders:
        if one["differs"]:
            yield f"- *{one['name']}*: {one['differs']}"
        if one["failed"]:
            yield f"- *{one['name']}* {_out(one)}"


def _rounds(benchmark: Mapping[str, Any]) -> int:
    return max(len(one["rounds"]) for one in benchmark["contenders"])


def _cell(one: Mapping[str, Any], first: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    values = _values(one, figure)
    if not values:
        return "-"
    text = figure["text"].format
    cell = text(median(values))
    if min(values) < max(values):
        cell += f" ({text(min(values))} to {text(max(values))})"
    ratio = "" if one is first else _ratio(one, first, figure)
    return f"{cell}, {ratio}" if ratio else cell


def _beside(one: Mapping[str, Any], first: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    middle = _middle(one, figure)
    if not middle:
        return f"{one['name']} {_out(one)}" if one["failed"] else ""
    ratio = _ratio(one, first, figure)
    return f"{one['name']} {middle}" + (f" ({ratio})" if ratio else "")


def _middle(one: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    values = _values(one, figure)
    return str(figure["text"].format(median(values))) if values else ""


def _ratio(one: Mapping[str, Any], first: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """Return how many times another's value the lab's is; empty if one is missing."""
    theirs, ours = _values(one, figure), _values(first, figure)
    if not theirs or not ours or median(theirs) <= 0:
        return ""
    return f"lab: {median(ours) / median(theirs):.2f} x"


def _values(one: Mapping[str, Any], figure: Mapping[str, Any]) -> Sequence[float]:
    return [turn[figure["name"]] for turn in one["rounds"] if figure["name"] in turn]


def _out(one: Mapping[str, Any]) -> str:
    if not one["failed"]:
        return "-"
    reason = one["failed"][:_LONGEST].replace("|", r"\|")  # what a command printed
    return f"could not do it: {reason}"


def _conditions(result: Mapping[str, Any]) -> str:
    """Return a sentence on where, how often and beside what the figures were measured."""
    rounds = [_rounds(benchmark) for benchmark in result["benchmarks"]]
    busy = max(benchmark["busy"] for benchmark in result["benchmarks"])
    machine, versions = result["machine"], result["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in versions)
    span = f"{min(rounds)} to {max(rounds)}" if min(rounds) < max(rounds) else f"{max(rounds)}"
    warning = (
        f" Other programs took up to {busy:.0%} of the processors: take the figures for rough ones."
        if busy > _QUIET
        else ""
    )
    return (
        f"Medians. {_LEGEND} Rounds: {span}, in turn, on {machine['processors']}, "
        f"{machine['kernel']}, Python {machine['Python']}; {named}.{warning}"
    )
