"""Runs one experiment on machines that are up: plays it in a new run directory, and judges it."""

import contextlib
import shlex
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pushpull.analysis.cut import clock_step, disturbed_reason, given_up, lost_machines
from pushpull.core import os_errors
from pushpull.core.errors import ExitCode, LabError, MachineLost, RunStoreError, worst
from pushpull.core.faults.fault import Scope
from pushpull.core.project import COMMAND
from pushpull.core.user_code import UserMistake
from pushpull.core.wording import joined
from pushpull.engine.build import Setting
from pushpull.engine.deploy import Removal
from pushpull.engine.judge import exit_code, judged
from pushpull.engine.monitor import View
from pushpull.engine.play import Played, deploy_and_play
from pushpull.engine.request import RunRequest, description
from pushpull.engine.unread import unread
from pushpull.machines.providers.base import Machines
from pushpull.machines.providers.registry import can_do
from pushpull.machines.remote import Remote
from pushpull.runs import records_file, store
from pushpull.runs.directory import MODULE, RunDirectory
from pushpull.runs.store import StoredRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Where a run is, its verdicts or what spoiled it, its exit code and its state."""

    path: Path
    code: ExitCode
    state: str = "interrupted"
    verdicts: Sequence[Mapping[str, Any]] = ()
    note: str = ""
    error: LabError | None = None


def run(
    request: RunRequest,
    machines: Machines,
    remotes: dict[str, Remote],
    view: View,
    root: Path,
    *,
    meanwhile: Callable[[], None],
) -> Result:
    """Run one experiment and judge it; whatever happens, captured output is kept.

    `meanwhile` is called in its own thread once the scenario only waits for the end of its
    programs, so that it delays no fault.

    A cut run (see `cut`) is judged as far as possible, with the exit code NOT_OBSERVED, or
    INTERRUPTED after Ctrl-C. If it lost a machine, or ran out of disk space, it also has an error
    that says so; a spoiled run has only an error.
    Raises LabError if no run directory can be made. Any other exception is a bug in the lab: its
    traceback is in the run directory, and further experiments still run.
    """
    _need_machines(request, machines)
    _need_faults(request, machines)
    directory = RunDirectory.create(root, request.experiment.name, description(request, remotes))
    result = Result(path=directory.path, code=ExitCode.INTERRUPTED)
    try:
        if request.experiment.is_own:
            copies = directory.carry({MODULE: request.experiment.file, **request.files})
            # The user may edit the originals while the run deploys and fetches.
            files = {name: copies[name] for name in request.files}
            request = replace(request, files=files)
        setting = Setting(
            machines=machines, remotes=remotes, directory=directory, view=view, meanwhile=meanwhile
        )
        with Removal(setting) as removal:
            played = deploy_and_play(request, setting, removal)
            result = _judge(request, directory, played)
    except LabError as error:
        result = _spoiled(directory, error)
    except Exception as error:
        if refused := os_errors.diagnose(error):
            result = _spoiled(directory, refused)
        else:
            directory.attach("traceback.txt", traceback.format_exc())
            with contextlib.suppress(LabError):  # what went wrong may be that it can't be read
                _write_records(store.load(directory.path))
            result = Result(path=directory.path, error=_bug(directory.path), code=ExitCode.BUG)
    finally:
        unwritten = _refusal(lambda: directory.finish(result.state))
    return result if unwritten is None else _with_error(result, unwritten)


def _judge(request: RunRequest, directory: RunDirectory, played: Played) -> Result:
    """Judge what was captured; return the verdicts even if they can't be written any more."""
    stored = store.load(directory.path)
    if played.cut:
        stored = replace(stored, description=stored.description | {"cut": played.cut})
    verdicts, why_cut, mistake = judged(stored, request.experiment)
    reads = request.experiment.reads
    notes = [played.note, disturbed_reason(stored), clock_step(stored)]
    notes += [unread(stored.records, reads)] if reads else []
    gave_up = given_up(stored.events)
    lost = played.error or _lost(lost_machines(stored.events))

    def write() -> None:
        fields = {"error": str(lost or ""), "cut": why_cut, "given_up": gave_up}
        directory.update(**{name: text for name, text in fields.items() if text})
        if played.never_connected:
            directory.update(never_connected=True)
        directory.write_verdicts(verdicts)
        _write_records(stored)

    unwritten = _refusal(write)
    code = exit_code(verdicts, cut=bool(why_cut), given_up=bool(gave_up))
    result = Result(
        path=directory.path,
        code=ExitCode.INTERRUPTED if played.interrupted else code,
        state="interrupted" if why_cut else "finished",
        verdicts=verdicts,
        note=" ".join(filter(None, notes)),
    )
    if error := lost or unwritten:
        return _with_error(result, error)
    if mistake:
        code = worst([result.code, ExitCode.MISTAKE])
        return replace(result, error=_judge_again(mistake, directory.path), code=code)
    return result


def _judge_again(mistake: LabError, run: Path) -> LabError:
    """Return the mistake in a claim with the way to verdicts that needs no other run."""
    command = shlex.join([COMMAND, "report", "--judge", "--run", str(run)])
    hint = f"{mistake.hint}, then judge this run again: {command}"
    return UserMistake(mistake.what, where=mistake.where, hint=hint)


def _write_records(stored: StoredRun) -> None:
    """Write the lines of a run as JSON, unless there are too many to do so unasked."""
    if len(stored.records) <= records_file.MOST_UNASKED:
        with contextlib.suppress(LabError):  # `fab records` makes it, or says why it can't
            records_file.write(stored)


def _with_error(result: Result, error: LabError) -> Result:
    """Return a result with an error of the user's computer or of a machine, unless it has one."""
    code = worst([result.code, ExitCode.MISTAKE])
    return replace(result, error=result.error or error, code=code, state="interrupted")


def _spoiled(directory: RunDirectory, error: LabError) -> Result:
    _refusal(lambda: directory.update(error=str(error), cut="An error ended the run."))
    return Result(path=directory.path, error=error, code=ExitCode.MISTAKE)


def _refusal(write: Callable[[], None]) -> LabError | None:
    """Write something to a run; return why that failed, if it did."""
    try:
        write()
    except RunStoreError as error:
        return error
    return None


def _need_machines(request: RunRequest, machines: Machines) -> None:
    for role, least in request.experiment.machines.items():
        found = sum(role in access.roles for access in machines.access.values())
        if found < least:
            raise LabError(
                f"{request.title} needs {least} machines with the role {role}, there "
                + ("is 1" if found == 1 else f"are {found}"),
                hint="add them to the inventory: `count` makes several of a machine",
            )


def _need_faults(request: RunRequest, machines: Machines) -> None:
    missing = [
        fault.name
        for fault in request.faults
        if fault.scope is not Scope.PROCESS and fault not in machines.faults
    ]
    if missing:
        provider = next(iter(machines.access.values())).provider
        raise LabError(
            f"{request.title} needs {' and '.join(missing)}, which the provider '{provider}'"
            " can't do",
            hint=can_do(request.faults),
        )


def _lost(machines: Sequence[str]) -> LabError | None:
    if not machines:
        return None
    return MachineLost(
        "the connection broke during the run, which continued without it",
        where=f"machine {joined(machines)}",
        hint="captured output is kept; is the machine still up, and the network to it?",
    )


def _bug(run: Path) -> LabError:
    return LabError(
        "this run hit a bug in the lab itself",
        where=str(run),
        hint="please report it, with its traceback.txt; captured output is kept",
    )
