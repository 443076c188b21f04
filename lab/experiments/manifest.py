"""Reads `program.toml`: what an implementation of the lab's programs is, and what it offers.

Every mistake in it is one message that names the file, the key and what to write instead.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.core.errors import LabError
from lab.core.verdict import Outcome
from lab.engine.program import HERE, PYTHON, ProtocolProgram
from lab.experiments import protocol

FILE = "program.toml"
NAME = r"[a-z0-9][a-z0-9_-]{0,39}"
_FLAG, _OPTION = r"--[a-z][a-z0-9-]*", r"[A-Z][A-Z0-9_]*"
_PLACEHOLDER = r"\{[^{}]*\}"

Check = tuple[Callable[[object], bool], str]  # whether a value is right, and what it should be


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What is known to be otherwise with an implementation than a claim's experiment expects.

    Attributes:
        claim: the ids of the claims, with the wildcards of fnmatch: `ways_to_leave:pause.*`.
        verdict: what is expected instead.
        because: the reason, in a sentence.
        source: what that rests on: a line of code, a page of a manual.
        kind: the kind of program that makes it so; empty where it is so only if all programs of
            a run are this implementation's.
    """

    claim: str
    verdict: Outcome
    because: str
    source: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An implementation of the program protocol.

    Attributes:
        name: its folder's.
        summary: what it is, in one line.
        wire: the protocols that it speaks on the wire; who shares none with it can't talk to it.
        needs: what must be on each machine, as `@experiment(needs=...)` has it.
        install: the command line that puts it there.
        programs: by their names.
        expected: what is known to be otherwise than the experiments expect; the first that
            matches a claim counts.
    """

    name: str
    summary: str
    wire: tuple[str, ...]
    needs: tuple[str, ...]
    install: str
    programs: Mapping[str, ProtocolProgram]
    expected: tuple[Expectation, ...] = ()


def load(folder: Path) -> Manifest:
    """Return the implementation in a folder.

    Raises:
        LabError: its manifest can't be read, or has a mistake.
    """
    file = folder / FILE
    if not re.fullmatch(NAME, folder.name):
        raise LabError(
            f"'{folder.name}' can't be an implementation's name",
            where=str(folder),
            hint="take small letters, digits, - and _, at most 40",
        )
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise LabError(f"can't be read: {why}", where=str(file), hint="see CONTRIBUTING.md") from (
            error
        )
    except tomllib.TOMLDecodeError as error:
        raise LabError(f"is no TOML: {error}", where=str(file), hint="correct that line") from error
    top = _Table(file, "", content, _TOP)
    if top["protocol"] != protocol.VERSION:
        raise top.mistake(
            "protocol", f"is {top['protocol']}", f"this lab speaks version {protocol.VERSION}"
        )
    if top["needs"] and not top["install"]:
        raise top.mistake("install", "is missing", "write the line that installs what it needs")
    tables = {
        name: _Table(file, f"programs.{name}", content, _PROGRAM)
        for name, content in top["programs"].items()
    }
    return Manifest(
        name=folder.name,
        summary=top["summary"],
        wire=tuple(top["wire"]),
        needs=tuple(top["needs"]),
        install=top["install"],
        programs={
            name: _program(folder, name, table, top["options"]) for name, table in tables.items()
        },
        expected=tuple(
            _expectation(_Table(file, f"expected[{k}]", content, _EXPECTED))
            for k, content in enumerate(top["expected"])
        ),
    )


def _expectation(table: "_Table") -> Expectation:
    verdict = Outcome(table["verdict"])
    if verdict is not Outcome.NOT_APPLICABLE and not table["source"]:
        raise table.mistake(
            "source", "is missing", "name the line of code or the page that says so"
        )
    return Expectation(
        claim=table["claim"],
        verdict=verdict,
        because=table["because"],
        source=table["source"],
        kind=table["kind"],
    )


def _program(folder: Path, name: str, table: "_Table", options: Sequence[str]) -> ProtocolProgram:
    for key in ("flags", "events"):
        missing = {
            one for one in protocol.required(name) if one.startswith("--") == (key == "flags")
        }
        if missing := missing - {*table[key]}:
            what = f"lacks {', '.join(sorted(missing))}"
            raise table.mistake(key, what, f"every {name} has that: add it to both")
    for word in table["argv"]:
        if unknown := set(re.findall(_PLACEHOLDER, word)) - {PYTHON, HERE}:
            raise table.mistake(
                "argv", f"has {unknown.pop()}", f"there are {PYTHON} and {HERE}, and no other"
            )
    files = {one: folder / one for one in table["files"]}
    for one, path in files.items():
        if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()):
            raise table.mistake("files", f"names {one!r}", f"name files of {folder}")
        if not path.is_file():
            raise table.mistake(
                "files", f"names {one!r}, which isn't there", f"put it into {folder}"
            )
    return ProtocolProgram(
        name=name,
        owner=folder.name,
        kind=protocol.KINDS[name],
        call=tuple(table["argv"]),
        files=files,
        offers=frozenset(
            {*table["flags"], *table["events"], *(options if "--set" in table["flags"] else ())}
        ),
    )


class _Table:
    """A table of a manifest, each of its values checked."""

    def __init__(
        self, file: Path, name: str, content: object, keys: Mapping[str, tuple[Check, Any]]
    ) -> None:
        self._file = file
        self._name = name
        if not isinstance(content, dict):
            raise self.mistake("", "is no table", f"begin it with [{name}]")
        if unknown := [key for key in content if key not in keys]:
            raise self.mistake(unknown[0], "is no key", f"there are: {', '.join(keys)}")
        self._values = {key: default for key, (_, default) in keys.items()} | content
        for key, ((is_right, expected), _) in keys.items():
            if self._values[key] is _MISSING:
                raise self.mistake(key, "is missing", f"write {expected}")
            if not is_right(self._values[key]):
                raise self.mistake(key, f"is {self._values[key]!r}"[:200], f"write {expected}")

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def mistake(self, key: str, what: str, hint: str) -> LabError:
        """Return the error to raise for one of its keys."""
        name = ".".join(filter(None, (self._name, key)))
        return LabError(f"`{name}` {what}", where=str(self._file), hint=hint)


def _text(expected: str, *, least: int = 1) -> Check:
    return lambda v: isinstance(v, str) and len(v.strip()) >= least and v.isprintable(), expected


def _texts(pattern: str, expected: str, *, least: int = 0) -> Check:
    def is_right(value: object) -> bool:
        return (
            isinstance(value, list)
            and len(value) >= least
            and all(isinstance(v, str) and re.fullmatch(pattern, v) for v in value)
        )

    return is_right, expected


def _one_of(words: Sequence[str]) -> Check:
    return lambda v: isinstance(v, str) and v in words, f"one of: {', '.join(dict.fromkeys(words))}"


def _are_programs(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and value.keys() <= protocol.KINDS.keys()


_MISSING = object()
_WORD = r"[^\0\n]+"
_TOP: Mapping[str, tuple[Check, Any]] = {
    "protocol": ((lambda v: type(v) is int, f"protocol = {protocol.VERSION}"), _MISSING),
    "summary": (_text('what it is, in one line, as summary = "..."'), _MISSING),
    "wire": (
        _texts(r"[a-z0-9./-]+", 'the protocols on its wire, as wire = ["zmtp/3"]', least=1),
        _MISSING,
    ),
    "needs": (_texts(r"(python:|perl:)?[A-Za-z0-9._:+-]+", 'needs = ["perl", "python:zmq"]'), []),
    "install": (
        _text('the line that installs it, as install = "apt-get install perl"', least=0),
        "",
    ),
    "options": (_texts(_OPTION, 'those of --set, as options = ["SNDHWM"]'), []),
    "expected": (
        (lambda v: isinstance(v, list), "a table [[expected]] for each claim that fares otherwise"),
        [],
    ),
    "programs": (
        (_are_programs, f"a table [programs.NAME] for some of: {', '.join(protocol.KINDS)}"),
        _MISSING,
    ),
}
_EXPECTED: Mapping[str, tuple[Check, Any]] = {
    "claim": (_text('a claim, as claim = "kill_worker.nothing_comes_twice"'), _MISSING),
    "verdict": (_one_of([*Outcome]), _MISSING),
    "because": (_text('the reason, as because = "..."'), _MISSING),
    "source": (_text("the line of code or the page that says so", least=0), ""),
    "kind": (_one_of(["", *protocol.KINDS.values()]), ""),
}
_PROGRAM: Mapping[str, tuple[Check, Any]] = {
    "argv": (_texts(_WORD, 'argv = ["perl", "{here}/push.pl"]', least=1), _MISSING),
    "files": (_texts(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", 'files = ["push.pl"]'), _MISSING),
    "flags": (_texts(_FLAG, 'flags = ["--address", "--trace"]'), _MISSING),
    "events": (
        _texts("|".join(protocol.EVENTS), f"some of: {', '.join(sorted(protocol.EVENTS))}"),
        _MISSING,
    ),
}
