"""`fab reproduce`: makes the runs that decide an author's table, and says what is reproduced."""

import contextlib
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pushpull.analysis.campaign import Cell, is_done, name_of
from pushpull.analysis.reproduction import Progress, Result
from pushpull.cli import published_table
from pushpull.cli.call import Call
from pushpull.cli.sweep import Sweep, alone_in, described, limit_of, require_machines, runs_of
from pushpull.cli.sweep_pool import Done, Pool
from pushpull.core.errors import ExitCode, LabError, worst
from pushpull.core.wording import counted
from pushpull.report.reproduction import print_table, write_json, write_junit
from pushpull.runs import store

_CODES = {
    Result.REPRODUCED: ExitCode.EXPECTED,
    Result.NOT_REPRODUCED: ExitCode.UNEXPECTED,
    Result.UNDECIDED: ExitCode.NOT_OBSERVED,
}
_MOST_FAILURES = 3  # in a row, of the runs of one row


def run(
    call: Call, table: Path, *, at_once: int | None, json: Path | None, junit: Path | None
) -> ExitCode:
    """Make runs until each row of the table is decided or has had its runs, and print the result.

    Runs that a sweep or an earlier call made in the same folder count.

    Arguments:
        call: what runs are made with, besides what a row says.
        table: the author's file, see `published_table.read`.
        at_once: how many labs run side by side; None for as many as this computer carries.
        json, junit: files to write the result to, in these formats.

    Returns EXPECTED only if every row is reproduced.

    Raises:
        LabError: the table has mistakes, or another sweep is at work in the folder of the runs.
    """
    rows = [Progress(row) for row in published_table.read(table, call)]
    codes: list[ExitCode] = []
    with alone_in(call.runs):
        try:
            for experiment in dict.fromkeys(progress.row.experiment for progress in rows):
                its = [progress for progress in rows if progress.row.experiment == experiment]
                codes += _Campaign(replace(call, experiment=experiment), its, at_once).run()
        except KeyboardInterrupt:
            print("interrupted; repeat the command to continue", flush=True)
            codes.append(ExitCode.INTERRUPTED)
    print()
    print_table(rows, file=sys.stdout)
    if json:
        write_json(rows, table, json)
    if junit:
        write_junit(rows, table, junit)
    return worst([*codes, *(_CODES[progress.result] for progress in rows)])


class _Campaign:
    """The runs of one experiment for the rows that are about it."""

    def __init__(self, call: Call, rows: Sequence[Progress], at_once: int | None) -> None:
        self._rows = rows
        self._cells = list(dict.fromkeys(progress.row.cell for progress in rows))
        vary: dict[str, list[str]] = {}
        for name, value in (setting for cell in self._cells for setting in cell.settings):
            vary.setdefault(name, []).append(value)
        self._sweep = Sweep(call=call, vary=vary, repeat=1, at_once=at_once)
        require_machines(self._sweep)
        self._begun: Counter[Cell] = Counter()
        self._failures: defaultdict[Cell, list[ExitCode]] = defaultdict(list)

    def run(self) -> list[ExitCode]:
        """Make the runs that are missing; return the codes of failures that left a row open."""
        named = {str(cell): cell for cell in self._cells}
        for stored in runs_of(self._sweep):
            if (cell := named.get(name_of(stored))) is not None:
                self._begun[cell] += 1
                self._count(cell, stored)
        if sum(self._begun.values()):
            made = counted(sum(self._begun.values()), "run")
            print(f"{self._sweep.experiment}: {made} made already")
        while any(True for _ in self._wanted()):
            for done in self._made():
                self._take(done)
        open_ = {p.row.cell for p in self._rows if p.result is Result.UNDECIDED}
        return [code for cell in open_ for code in self._failures[cell]]

    def _wanted(self) -> Iterator[Cell]:
        """Yield the cells that need another run."""
        for cell in self._cells:
            rows = [progress for progress in self._rows if progress.row.cell == cell]
            most = max(progress.row.runs for progress in rows)
            open_ = self._begun[cell] < most and len(self._failures[cell]) < _MOST_FAILURES
            if open_ and any(progress.wants_more for progress in rows):
                yield cell

    def _todo(self) -> Iterator[tuple[int, Cell]]:
        """Yield runs to make, in turns, for as long as a row wants one at that moment."""
        while wanted := list(self._wanted()):
            for cell in wanted:
                self._begun[cell] += 1
                yield sum(self._begun.values()), cell

    def _made(self) -> Iterator[Done]:
        pool = Pool(self._sweep.call, limit_of(self._sweep), self._sweep.id)
        with contextlib.closing(pool.results(self._todo())) as results:
            yield from (done for done in results if not done.again)

    def _take(self, done: Done) -> None:
        """Count a run that has ended, unless it failed and says nothing about its claims."""
        stored = None
        with contextlib.suppress(LabError):  # a run that failed may be unreadable
            stored = store.load(done.directory) if done.directory else None
        if stored is not None and is_done(stored):
            self._failures.pop(done.cell, None)
            self._count(done.cell, stored)
        elif done.answer.failed:
            self._failures[done.cell].append(done.answer.code)
        title = next(p.row.title for p in self._rows if p.row.cell == done.cell)
        print(f"run {done.number}: {title}: {described(done)}", flush=True)

    def _count(self, cell: Cell, stored: store.StoredRun) -> None:
        for progress in self._rows:
            if progress.row.cell == cell:
                progress.add(stored.verdicts or (), stored.path.name)
