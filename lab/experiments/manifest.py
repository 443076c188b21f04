"""Reads `program.toml`: what an implementation of the lab's programs is, and what it offers.

Every mistake in it is one message that names the file, the key and what to write instead.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.core.installation import Installation, Packages
from pushpull.core.verdict import Outcome
from pushpull.core.vocabulary import BROKER
from pushpull.engine.program import HERE, PREFIX, PYTHON, ProtocolProgram
from pushpull.experiments import protocol
from pushpull.experiments.manifest_keys import EXPECTED, PACKAGES, PROGRAM, TOP, VERSION, Table

FILE = "program.toml"
NAME = r"[a-z0-9][a-z0-9_-]{0,39}"
VERSION_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}"
_PLACEHOLDER = r"\{[^{}]*\}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What is known to be otherwise with an implementation than a claim's experiment expects.

    Attributes:
        claims: the ids of the claims, with the wildcards of fnmatch: `ways_to_leave:pause.*`.
        verdict: what is expected instead.
        because: the reason, in a sentence.
        source: what that rests on: a line of code, a page of a manual.
        kind: the kind of program that makes it so; empty where any of its programs does.
    """

    claims: tuple[str, ...]
    verdict: Outcome
    because: str
    source: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An implementation of the program protocol, in one of its versions.

    Attributes:
        name: its folder's.
        version: the one that was asked for; empty for the one that it has without asking.
        summary: what it is, in one line.
        wire: the protocols that it speaks on the wire; who shares none with it can't talk to it.
        needs: what must be on each machine, as `@experiment(needs=...)` has it.
        install: the command line that puts it there.
        installation: what the lab installs for it.
        shown_version: the version of what it is without asking, for the reader.
        versions: those that can be asked for, each with what it is.
        programs: by their names.
        expected: what is known to be otherwise with this version than the experiments expect; the
            first that matches a claim counts.
    """

    name: str
    version: str
    summary: str
    wire: tuple[str, ...]
    needs: tuple[str, ...]
    install: str
    installation: Installation
    shown_version: str
    versions: Mapping[str, str]
    programs: Mapping[str, ProtocolProgram]
    expected: tuple[Expectation, ...]

    @property
    def title(self) -> str:
        """Return what `--implementation` takes for it."""
        return f"{self.name}@{self.version}" if self.version else self.name


def load(folder: Path, version: str = "") -> Manifest:
    """Return the implementation in a folder, in a version of its manifest or as it is without.

    Raises:
        LabError: its manifest can't be read or has a mistake, or there is no such version.
    """
    file = folder / FILE
    if not re.fullmatch(NAME, folder.name):
        raise LabError(
            f"'{folder.name}' can't be an implementation's name",
            where=str(folder),
            hint="take small letters, digits, - and _, at most 40",
        )
    top = Table(file, "", _content(file), TOP)
    if top["protocol"] != protocol.VERSION:
        raise top.mistake(
            "protocol", f"is {top['protocol']}", f"this lab speaks version {protocol.VERSION}"
        )
    versions = _versions(file, top)
    if version and version not in versions:
        raise LabError(
            f"'{folder.name}' has no version '{version}'",
            where=str(file),
            hint=f"there are: {', '.join(versions) or 'none to choose from'}",
        )
    chosen = versions[version] if version else None
    installation = _installation(file, top, version, chosen)
    if top["needs"] and not (top["install"] or installation.packages):
        raise top.mistake("install", "is missing", "write the line that installs what it needs")
    one = Manifest(
        name=folder.name,
        version=version,
        summary=top["summary"],
        wire=tuple(top["wire"]),
        needs=tuple(top["needs"]),
        install=top["install"],
        installation=installation,
        shown_version=top["version"],
        versions=_abouts(top, versions),
        programs={
            name: _program(
                folder, name, Table(file, f"programs.{name}", content, PROGRAM), top["options"]
            )
            for name, content in top["programs"].items()
        },
        expected=tuple(_expected(file, top, version)),
    )
    lacks = frozenset([*top["lacks"], *(chosen["lacks"] if chosen else [])])
    return _in_version(one, chosen, lacks)


def _content(file: Path) -> object:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise LabError(f"can't be read: {why}", where=str(file), hint="see CONTRIBUTING.md") from (
            error
        )
    except tomllib.TOMLDecodeError as error:
        raise LabError(f"is no TOML: {error}", where=str(file), hint="correct that line") from error


def _versions(file: Path, top: Table) -> Mapping[str, Table]:
    for name in top["versions"]:
        if not re.fullmatch(VERSION_NAME, name):
            raise top.mistake("versions", f"names {name!r}", 'write such as [versions."2.1"]')
    return {
        name: Table(file, f"versions.{name}", content, VERSION)
        for name, content in top["versions"].items()
    }


def _expected(file: Path, top: Table, version: str) -> Iterator[Expectation]:
    for k, content in enumerate(top["expected"]):
        table = Table(file, f"expected[{k}]", content, EXPECTED)
        if table["verdict"] != Outcome.NOT_APPLICABLE and not table["source"]:
            raise table.mistake("source", "is missing", "name the line or the page that says so")
        versions = table["versions"]
        if not versions or any(fnmatchcase(version, one) for one in versions):
            yield Expectation(
                claims=tuple(table["claims"]),
                verdict=Outcome(table["verdict"]),
                because=table["because"],
                source=table["source"],
                kind=table["kind"],
            )


def _abouts(top: Table, versions: Mapping[str, Table]) -> Mapping[str, str]:
    return {name: table["about"] for name, table in versions.items()}


def _installation(file: Path, top: Table, version: str, chosen: Table | None) -> Installation:
    """Return what a version installs: without packages of its own, what the others have."""
    if chosen is not None and (packages := _packages(chosen)):
        return Installation(
            title=f"{file.parent.name}@{version}",
            packages=packages,
            files=_files(file.parent, chosen),
        )
    table = Table(file, "packages", top["packages"], PACKAGES)
    return Installation(
        title=file.parent.name, packages=_packages(table), files=_files(file.parent, table)
    )


def _packages(table: Table) -> Packages:
    for word in (word for command in table["build"] for word in command):
        _require_placeholders(table, "build", word)
    return Packages(
        debian=tuple(table["debian"]),
        suite=table["suite"],
        python=table["python"],
        pypi=tuple(table["pypi"]),
        sdists=tuple(table["sdists"]),
        npm=tuple(table["npm"]),
        build=tuple(tuple(command) for command in table["build"]),
    )


def _in_version(one: Manifest, table: Table | None, lacks: frozenset[str]) -> Manifest:
    """Return an implementation without what its version lacks, as it is called when installed."""
    packages = one.installation.packages
    ends = ("pull", BROKER) if BROKER in one.programs else ("push", "pull")
    return replace(
        one,
        wire=tuple(table["wire"]) if table and table["wire"] else one.wire,
        programs={
            name: replace(
                program,
                owner=one.title,
                call=(*program.call, *(table["arguments"].get(name, ()) if table else ())),
                offers=(program.offers - lacks) | _watched(program, lacks, ends),
                watched=_watched(program, lacks, ends),
                python=packages.python,
                installed=one.installation.folder if packages else "",
            )
            for name, program in one.programs.items()
            if name not in lacks
        },
    )


def _watched(
    program: ProtocolProgram, lacks: frozenset[str], ends: Collection[str]
) -> frozenset[str]:
    """Return the events of connections that the lab must ask the kernel for.

    Of senders and receivers alone, claims want to know when these were connected; and of a broker
    between, to which both connect, instead of its senders.
    """
    if program.name not in ends:
        return frozenset()
    return frozenset({"connected", "disconnected"}) - (program.offers - lacks)


def _program(folder: Path, name: str, table: Table, options: Sequence[str]) -> ProtocolProgram:
    for key in ("flags", "events"):
        missing = {
            one for one in protocol.required(name) if one.startswith("--") == (key == "flags")
        }
        if missing := missing - {*table[key]}:
            what = f"lacks {', '.join(sorted(missing))}"
            raise table.mistake(key, what, f"every {name} has that: add it to both")
    for word in table["argv"]:
        _require_placeholders(table, "argv", word)
    return ProtocolProgram(
        name=name,
        owner=folder.name,
        kind=protocol.KINDS[name],
        call=tuple(table["argv"]),
        files=_files(folder, table),
        offers=frozenset(
            {
                *(table["flags"] + table["events"]),
                *(options if "--set" in table["flags"] else ()),
                *protocol.ABILITIES.get(protocol.KINDS[name], ()),
            }
        ),
    )


def _require_placeholders(table: Table, key: str, word: str) -> None:
    known = (PYTHON, HERE, PREFIX)
    if unknown := set(re.findall(_PLACEHOLDER, word)) - {*known}:
        raise table.mistake(
            key, f"has {unknown.pop()}", f"there are {' and '.join(known)}, and no other"
        )


def _files(folder: Path, table: Table) -> Mapping[str, Path]:
    files = {one: folder / one for one in table["files"]}
    for one, path in files.items():
        if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()):
            raise table.mistake("files", f"names {one!r}", f"name files of {folder}")
        if not path.is_file():
            raise table.mistake(
                "files", f"names {one!r}, which isn't there", f"put it into {folder}"
            )
    return files
