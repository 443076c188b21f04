"""Damages runs and archives, seeded: the same seed makes the same damage."""

import gzip
import io
import json
import math
import os
import random
import shutil
import socket
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FILES = ("run.json", "verdicts.json", "events.jsonl")
_LINES = "records.jsonl"  # of a run of format 1; else there are indexes
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 10**400, -0.5, 1e308, "", "x", "\x1b]0;x\x07", "../..", "a\nb",
    "\ud800", [], {}, [[]], {"a": {"b": []}}, [1] * 50, "y" * 70_000,
)  # fmt: skip
_RAW = ("1e999", "NaN", "-Infinity", "[" * 5000, '"', "1" * 5000, "{", "\x00", "")


def damage_run(random_: random.Random, run: Path) -> str:
    """Do one thing to a run directory; return what."""
    do = random_.choice((_a_value, _a_value, _a_value, _bytes, _cut, _raw, _kind_of_file, _lines))
    indexes = sorted(run.glob("*/*.index"))
    if indexes and random_.random() < 0.3:
        do = random_.choice((_bytes, _cut, _an_entry, _an_entry))
        file = random_.choice([*indexes, *(path.with_suffix("") for path in indexes)])
    else:
        file = run / random_.choice((*_FILES, *([] if indexes else [_LINES])))
    do(random_, file)
    return f"{do.__name__} in {file.name}"


def _a_value(random_: random.Random, file: Path) -> None:
    """Replace or remove a value, at any depth."""
    lines = [file.read_text()] if file.suffix == ".json" else file.read_text().splitlines()
    k = random_.randrange(len(lines))
    value = json.loads(lines[k])
    holder, key = random_.choice(list(_places(value)) or [([value], 0)])
    match random_.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random_.choice(("t", "machine", "x\x1b[2J", "a" * 3000))] = holder.pop(key)
        case _:
            holder[key] = random_.choice(_VALUES)
    lines[k] = json.dumps(value)
    file.write_text("\n".join(lines) + "\n")


def _an_entry(random_: random.Random, file: Path) -> None:
    """Let an entry of an index say something else; of a log just some bytes."""
    data = bytearray(file.read_bytes())
    at = 16 * random_.randrange(max(1, len(data) // 16))
    match random_.randrange(4):
        case 0:  # where its chunk ends: far away, before the one before, a little off
            data[at : at + 8] = struct.pack("<Q", random_.choice((0, 1, 50, 2**31, 2**63)))
        case 1:
            times = (0.0, -1.0, 1e300, math.inf, math.nan, 1.8e9)
            data[at + 8 : at + 16] = struct.pack("<d", random_.choice(times))
        case 2:
            data[at : at + 16] = data[at : at + 16] * random_.choice((0, 2, 1000))
        case _:
            data[at:at] = bytes(16)
    file.write_bytes(data)


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in _places(value[key])]


def _bytes(random_: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(random_.choice((1, 1, 5, 50))):
        data[random_.randrange(len(data))] = random_.randrange(256)
    file.write_bytes(data)


def _cut(random_: random.Random, file: Path) -> None:
    data = file.read_bytes()
    start, end = sorted(random_.randrange(len(data) + 1) for _ in range(2))
    file.write_bytes(data[start:end] if random_.random() < 0.5 else data[:start] + data[end:])


def _raw(random_: random.Random, file: Path) -> None:
    """Replace a number or a text with something that only looks like JSON."""
    text = file.read_text()
    at = random_.choice([k for k, c in enumerate(text) if c == ":"])
    end = min(k for k in (text.find(c, at) for c in ",}\n") if k > 0)
    file.write_text(text[: at + 1] + random_.choice(_RAW) + text[end:])


def _kind_of_file(random_: random.Random, file: Path) -> None:
    """Replace a file, log or index with something other than a plain file, or with a huge one."""
    logs = [*sorted(file.parent.glob("*/*.log")), *sorted(file.parent.glob("*/*.index"))]
    place = random_.choice((file, *logs))
    place.unlink()
    match random_.randrange(6):
        case 0:
            os.mkfifo(place)
        case 1:
            place.symlink_to("/dev/zero")
        case 2:
            place.symlink_to(file.parent.parent)
        case 3:
            place.mkdir()
        case 4:
            with socket.socket(socket.AF_UNIX) as listening:
                os.chdir(place.parent)  # a socket's path must be short
                listening.bind(place.name)
        case _:
            with place.open("wb") as sparse:
                sparse.truncate(random_.choice((2**33, 3 * 1024**2)))


def _lines(random_: random.Random, file: Path) -> None:
    """Repeat, swap or glue lines."""
    lines = file.read_text().splitlines()
    k, other = (random_.randrange(len(lines)) for _ in range(2))
    lines[k], lines[other] = lines[other], lines[k]
    lines[k : k + 1] = random_.choice(([lines[k]] * 3, [lines[k] + lines[other]], [], [""]))
    file.write_text("\n".join(lines) + "\n")


def damage_archive(random_: random.Random, run: Path, file: Path) -> str:
    """Pack a damaged run, or pack one as an adversary would; return how."""
    do: Callable[[random.Random, Path, Path], None] = random_.choice(
        (_packed_bytes, _packed_cut, _unpacked_bytes, _header, _odd_member, _odd_member, _inner)
    )
    do(random_, run, file)
    return do.__name__


def _tar(run: Path, name: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(run, name or run.name)
    return made.getvalue()


def _packed_bytes(random_: random.Random, run: Path, file: Path) -> None:
    data = bytearray(gzip.compress(_tar(run), 1))
    for _ in range(random_.choice((1, 3, 30))):
        data[random_.randrange(len(data))] = random_.randrange(256)
    file.write_bytes(data)


def _packed_cut(random_: random.Random, run: Path, file: Path) -> None:
    data = gzip.compress(_tar(run), 1)
    file.write_bytes(
        data[: random_.randrange(len(data))] + random_.randbytes(random_.choice((0, 9)))
    )


def _unpacked_bytes(random_: random.Random, run: Path, file: Path) -> None:
    data = bytearray(_tar(run))
    for _ in range(random_.choice((1, 3, 30))):
        data[random_.randrange(len(data))] = random_.randrange(256)
    file.write_bytes(gzip.compress(data, 1))


def _header(random_: random.Random, run: Path, file: Path) -> None:
    """Change a field of a header, with a correct checksum."""
    data = bytearray(_tar(run))
    starts = [k for k in range(0, len(data), 512) if data[k + 257 : k + 262] == b"ustar"]
    at = random_.choice(starts)
    match random_.randrange(4):
        case 0:  # a size: negative, huge, or a little off
            sizes = (
                b"\xff" * 12,
                b"\x80" + b"\xff" * 11,
                b"77777777777\0",
                b"00000000017\0",
                b"-1",
            )
            data[at + 124 : at + 136] = random_.choice(sizes).ljust(12, b"\0")
        case 1:  # a kind: links, devices, sparse files, headers for what follows
            data[at + 156] = random_.choice(b"\x001234567xgLKSXV")
        case 2:
            name = random_.choice((b"/etc/x", b"../x", b"a/../../x", b"\x1b[2J", b"x/", b"\xff"))
            data[at : at + 100] = name.ljust(100, b"\0")
        case _:
            data[at + random_.randrange(512)] = random_.randrange(256)
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    file.write_bytes(gzip.compress(data, 1))


def _odd_member(random_: random.Random, run: Path, file: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(run, run.name)
        member = tarfile.TarInfo(f"{run.name}/odd")
        match random_.randrange(9):
            case 0:
                member.name = random_.choice(("/tmp/x", "../x", f"{run.name}/../../x", "latest/x"))
            case 1:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            case 2:
                member.type, member.linkname = tarfile.LNKTYPE, "/etc/passwd"
            case 3:
                member.type = random_.choice((tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE))
            case 4:
                member.name = f"{run.name}/" + "d/" * 200 + "x"
            case 5:
                odd = ("\x1b]0;x\x07", "a\\b", "\u202e", "n" * 300)
                member.name = f"{run.name}/{random_.choice(odd)}"
            case 6:
                member.pax_headers = {"size": "-512"}
            case 7:
                member.name = f"{run.name}/run.json"
            case _:
                member.size = 40 * 1024**2
        archive.addfile(member, io.BytesIO(bytes(member.size)) if member.size else None)
    file.write_bytes(gzip.compress(made.getvalue(), 1))


def _inner(random_: random.Random, run: Path, file: Path) -> None:
    """Pack a damaged run, or one under an invalid name."""
    copy = file.parent / "inner" / run.name
    shutil.copytree(run, copy)
    if random_.random() < 0.7:
        damage_run(random_, copy)
        for path in list(copy.rglob("*")):  # tarfile packs no socket, and gigabytes take long
            if path.is_socket() or path.lstat().st_size > 2**26:
                path.unlink()
        name = ""
    else:
        name = random_.choice(("latest", "x", ".", "\x1b[2J", "20261127T123526Z-other", ".hidden"))
    file.write_bytes(gzip.compress(_tar(copy, name), 1))
    shutil.rmtree(copy.parent)
