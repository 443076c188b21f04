"""The keys of `program.toml`, and what their values may be."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushpull.core.errors import LabError
from pushpull.core.verdict import Outcome
from pushpull.experiments import protocol

Check = tuple[Callable[[object], bool], str]  # whether a value is right, and what it should be


class Table:
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


def _matching(pattern: str, expected: str) -> Check:
    return lambda v: isinstance(v, str) and bool(re.fullmatch(pattern, v)), expected


def _one_of(words: Sequence[str]) -> Check:
    return lambda v: isinstance(v, str) and v in words, f"one of: {', '.join(dict.fromkeys(words))}"


def _is_table(expected: str) -> Check:
    return lambda v: isinstance(v, dict), f"a table {expected}"


def _are_commands(value: object) -> bool:
    return isinstance(value, list) and all(_COMMAND[0](command) for command in value)


def _are_programs(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and value.keys() <= protocol.KINDS.keys()


def _are_arguments(value: object) -> bool:
    return isinstance(value, dict) and all(
        name in protocol.KINDS and _COMMAND[0](words) for name, words in value.items()
    )


_FLAG, _OPTION = r"--[a-z][a-z0-9-]*", r"[A-Z][A-Z0-9_]*"
_MISSING = object()
_WORD, _WIRE, _FILE = r"[^\0\n]+", r"[a-z0-9./-]+", r"[A-Za-z0-9_][A-Za-z0-9_./-]*"
_COMMAND = _texts(_WORD, '["javac", "{here}/Push.java"]', least=1)
_PINNED = (
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z,]+\])?==[A-Za-z0-9.+!_-]+( --hash=sha256:[0-9a-f]{64})*"
)
PACKAGES: Mapping[str, tuple[Check, Any]] = {
    "debian": (
        _texts(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:*-]+)?", 'debian = ["ruby", "lua=5.3*"]'),
        [],
    ),
    "suite": (
        _matching(r"([a-z][a-z-]*)?", 'the release of Debian, as suite = "bullseye"'),
        "",
    ),
    "python": (
        _matching(r"[a-z0-9.]*", 'the Python that runs it, as python = "python2.7"'),
        "",
    ),
    "pypi": (_texts(_PINNED, 'pinned wheels, as pypi = ["pynng==0.9.0"]'), []),
    "sdists": (_texts(_PINNED, 'those to be compiled, as sdists = ["pyzmq-static==2.1.11.2"]'), []),
    "npm": (
        _texts(
            r"(@[a-z0-9._-]+/)?[a-z0-9][a-z0-9._-]*@[0-9][A-Za-z0-9.+-]*", 'npm = ["zeromq@6.8.0"]'
        ),
        [],
    ),
    "files": (_texts(_FILE, 'what `build` needs, as files = ["Push.java"]'), []),
    "build": (
        (_are_commands, 'commands, as build = [["javac", "-d", "{prefix}", "{here}/Push.java"]]'),
        [],
    ),
}
_ABILITIES = frozenset[str]().union(*protocol.ABILITIES.values())
_LACKS = _texts(
    "|".join([_FLAG, _OPTION, *protocol.EVENTS, *protocol.KINDS, *_ABILITIES]),
    'programs, flags, options, events and abilities that it lacks, as lacks = ["reconnects"]',
)
VERSION: Mapping[str, tuple[Check, Any]] = {
    **PACKAGES,
    "about": (_text('what it is, as about = "libzmq 4.3.4"', least=0), ""),
    "wire": (_texts(_WIRE, 'the protocols on its wire, as wire = ["zmtp/1"]'), []),
    "lacks": (_LACKS, []),
    "arguments": (
        (_are_arguments, 'what programs get besides, as arguments = { pull = ["--qos", "0"] }'),
        {},
    ),
}
TOP: Mapping[str, tuple[Check, Any]] = {
    "protocol": ((lambda v: type(v) is int, f"protocol = {protocol.VERSION}"), _MISSING),
    "summary": (_text('what it is, in one line, as summary = "..."'), _MISSING),
    "wire": (
        _texts(_WIRE, 'the protocols on its wire, as wire = ["zmtp/3"]', least=1),
        _MISSING,
    ),
    "needs": (_texts(r"(python:|perl:)?[A-Za-z0-9._:+-]+", 'needs = ["perl", "python:zmq"]'), []),
    "install": (
        _text('the line that installs it, as install = "apt-get install perl"', least=0),
        "",
    ),
    "version": (_text('the version, as version = "0.9.0"', least=0), ""),
    "lacks": (_LACKS, []),
    "packages": (_is_table("[packages]"), {}),
    "versions": (_is_table('[versions."0.9.0"]'), {}),
    "expected": (
        (lambda v: isinstance(v, list), "a table [[expected]] for each claim that fares otherwise"),
        [],
    ),
    "options": (_texts(_OPTION, 'those of --set, as options = ["SNDHWM"]'), []),
    "programs": (
        (_are_programs, f"a table [programs.NAME] for some of: {', '.join(protocol.KINDS)}"),
        _MISSING,
    ),
}
EXPECTED: Mapping[str, tuple[Check, Any]] = {
    "claims": (
        _texts(_WORD, 'the claims, as claims = ["kill_worker.nothing_comes_twice"]', least=1),
        _MISSING,
    ),
    "verdict": (_one_of([*Outcome]), _MISSING),
    "because": (_text('the reason, as because = "..."'), _MISSING),
    "source": (_text("the line of code or the page that says so", least=0), ""),
    "kind": (_one_of(["", *protocol.KINDS.values()]), ""),
    "versions": (_texts(r"[A-Za-z0-9._*-]+", 'those that it is about, as ["16.*"]'), []),
}
PROGRAM: Mapping[str, tuple[Check, Any]] = {
    "argv": (_texts(_WORD, 'argv = ["perl", "{here}/push.pl"]', least=1), _MISSING),
    "files": (_texts(_FILE, 'files = ["push.pl"]'), _MISSING),
    "flags": (_texts(_FLAG, 'flags = ["--address", "--trace"]'), _MISSING),
    "events": (
        _texts("|".join(protocol.EVENTS), f"some of: {', '.join(sorted(protocol.EVENTS))}"),
        _MISSING,
    ),
}
