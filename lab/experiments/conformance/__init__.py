"""The conformance test: does an implementation do what docs/program-protocol.md demands?"""

import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pushpull.engine.program import ProtocolProgram
from pushpull.experiments.conformance.checks import CHECKS, Check
from pushpull.experiments.conformance.local import Local, Mismatch

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Result:
    """What a check came to; `mismatch` is None where all is as it should be."""

    check: Check
    mismatch: Mismatch | None


def run(programs: Mapping[str, ProtocolProgram], installed: str) -> Iterator[Result]:
    """Try the programs of an implementation on this computer, several checks at a time.

    `installed` is the folder of what is installed for implementations.
    """
    with tempfile.TemporaryDirectory() as scratch:
        applying = [c for c in CHECKS if c.applies(Local(programs, Path(scratch), installed))]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(lambda check: try_one(check, programs, installed), applying)


def try_one(check: Check, programs: Mapping[str, ProtocolProgram], installed: str) -> Result:
    """Try one check in a folder and at an address of its own."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Local(programs, Path(scratch), installed) as local,
    ):
        try:
            check.run(local)
        except Mismatch as mismatch:
            return Result(check, mismatch)
    return Result(check, None)
