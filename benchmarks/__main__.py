"""Measures what the lab costs, beside the alternatives: `.venv/bin/python -m benchmarks`.

Each part can be measured alone: `-m benchmarks labs ssh`. The alternatives are installed on first
use (see install.py). The result is printed as Markdown; what goes on meanwhile, on stderr.
"""

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import frame, install, machine, render
from benchmarks.frame import Benchmark
from benchmarks.parts import held, kill, labs, messages, page, printing, records, run, ssh, view

RECORDED = Path(__file__).with_name("recorded.json")
README = Path(__file__).parents[1] / "README.md"
DOCS = Path(__file__).parents[1] / "docs" / "speed.md"
PARTS = (printing, records, messages, labs, run, kill, held, ssh, view, page)
_ROUNDS = 5


def main() -> None:
    known = {one.name: one for part in PARTS for one in part.benchmarks()}
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; or all")
    parser.add_argument("--rounds", type=_rounds, default=_ROUNDS, help="turns each (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    parser.add_argument("--record", action="store_true", help="put it into README.md and the docs")
    options = parser.parse_args()
    if unknown := set(options.names) - known.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [known[name] for name in dict.fromkeys(options.names or known)]
    results: list[dict[str, Any]] = []
    about = {"machine": machine.described(), "versions": install.versions()}
    result: dict[str, Any] = about | {"benchmarks": results}
    try:
        for done in _measured(chosen, options.rounds):
            results.append(done)
            if options.json:
                options.json.write_text(_written(result))
    except KeyboardInterrupt:
        frame.say("interrupted; what was measured until then:")
        print(render.full(result))
        sys.exit(130)
    print(render.full(result))
    if options.record:
        record(merged(json.loads(RECORDED.read_text()) if RECORDED.exists() else {}, result, known))


def merged(
    before: Mapping[str, Any], result: dict[str, Any], order: Mapping[str, Benchmark]
) -> dict[str, Any]:
    """Return a result with those benchmarks of an earlier one that it lacks.

    Only if that is of the same computer and contenders: figures of two computers don't compare.
    """
    same = all(before.get(part) == result[part] for part in ("machine", "versions"))
    found = {one["name"]: one for one in (before["benchmarks"] if same else [])}
    found |= {one["name"]: one for one in result["benchmarks"]}
    return result | {"benchmarks": [found[name] for name in order if name in found]}


def record(result: Mapping[str, Any]) -> None:
    """Keep a result, and write the tables that are made of it."""
    RECORDED.write_text(_written(result))
    README.write_text(render.replaced(README.read_text(), render.brief(result)))
    DOCS.write_text(render.replaced(DOCS.read_text(), render.full(result)))


def _measured(chosen: list[Benchmark], rounds: int) -> Iterator[dict[str, Any]]:
    for benchmark in chosen:
        about = {"revision": machine.revision(), "busy": machine.busy()}
        yield about | frame.measure(benchmark, rounds)


def _rounds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("give a whole number from 1 to 1000")
    return int(text)


def _written(result: Mapping[str, Any]) -> str:
    return json.dumps(result, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
