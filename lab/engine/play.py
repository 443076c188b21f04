"""Plays one experiment: runs its scenario, and says how that went."""

from dataclasses import dataclass, replace

from pushpull.core import clock, user_code
from pushpull.core.errors import LabError, RunStoreError
from pushpull.core.records import GIVEN_UP, Event
from pushpull.engine.build import Parts, Setting
from pushpull.engine.deploy import Deployed, Removal, deployed
from pushpull.engine.monitor import InvariantBroken, LimitReached, NeverConnected, RunMonitor
from pushpull.engine.request import RunRequest
from pushpull.engine.scenario import Lab
from pushpull.engine.triggers import TriggerMissed
from pushpull.machines.agent import launcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a scenario went: a note for the user, and why the run is cut, in sentences.

    `error` is why its files could not be written completely; `never_connected` says that it was
    cut because its programs can't talk to each other, as they won't next time.
    """

    note: str = ""
    cut: str = ""
    interrupted: bool = False
    error: LabError | None = None
    never_connected: bool = False


def deploy_and_play(request: RunRequest, setting: Setting, removal: Removal) -> Played:
    """Play an experiment on machines that are up, and leave them unchanged, whatever happens.

    What it deployed is gone at the end of the block of `removal`.
    Raises LabError if a machine can't take part, or if the scenario has a mistake.
    """
    with deployed(request, setting, removal) as there:
        try:
            played = _perform(request, setting, there)
        except KeyboardInterrupt:
            note = "interrupted: these verdicts are about a part of the run"
            played = Played(note=note, cut="The run was interrupted.", interrupted=True)
    return _cut_short(played, there.parts.monitor, there.lateness.stopped_s())


def _perform(request: RunRequest, setting: Setting, there: Deployed) -> Played:
    """Run the scenario, after a trial of everything that it needs."""
    experiment, parts = request.experiment, there.parts
    setting.view.experiment(request.heading, experiment.summary, request.planned_s)
    parts.faults.network.try_out(request.faults)
    parts.faults.clocks.prepare(request.faults)
    if request.packets:
        there.sniffers.begin()
    parts.monitor.begin()
    lab = Lab(
        parts,
        variant=request.variant,
        count=request.messages,
        interval=request.pause,
        parameters=request.parameters,
    )
    return _play(request, lab, parts)


def _play(request: RunRequest, lab: Lab, parts: Parts) -> Played:
    experiment, monitor = request.experiment, parts.monitor
    note = ""
    try:
        try:
            experiment.scenario(lab)
        except TriggerMissed as missed:
            note = str(missed)
            _note_given_up(monitor, note)
        still_open = lab.finish()
    except RunStoreError as error:  # what was captured so far is judged
        monitor.fail(error)
        return Played()
    except InvariantBroken as broken:
        if request.when_broken is not None:
            monitor.go_on()
            request.when_broken(lab, parts.manager, str(broken))
        note = f"the run was ended at once, as this was no longer true: {broken}"
        return Played(note=note, cut=f"The run was ended at once, as this was broken: {broken}.")
    except LimitReached as stuck:
        note = f"the run took too long while waiting for {stuck}"
        _note_given_up(monitor, note)
        return Played(note=note, cut=f"The run took too long while waiting for {stuck}.")
    except NeverConnected as apart:
        return Played(note=str(apart), cut=str(apart), never_connected=True)
    except Exception as error:
        if not experiment.is_own or (isinstance(error, LabError) and error.where):
            raise
        raise user_code.mistake(error, experiment.file, experiment.scenario) from error
    return Played(note=" ".join(filter(None, [note, still_open])), cut=still_open)


def _note_given_up(monitor: RunMonitor, why: str) -> None:
    """Keep it with the run that its scenario was not played to its end."""
    monitor.event(
        Event(t=clock.now(), event=GIVEN_UP, machine="", process="", details={"why": why})
    )


def _cut_short(played: Played, monitor: RunMonitor, stopped_s: float) -> Played:
    """Add to the result what cut the run short without the scenario's knowledge, if anything."""
    if isinstance(monitor.trouble, RunStoreError):
        why = monitor.trouble.what.removeprefix("Cannot write this: ")
        cut = f"Not all of this run could be kept: {why}"
        played = replace(played, cut=cut, error=monitor.trouble)
    if monitor.leases_lost:
        cut = f"{_why_silent(stopped_s)}; the lease of its programs ended them."
        played = replace(played, cut=cut, note=cut)
    return played


def _why_silent(stopped_s: float) -> str:
    if stopped_s > launcher.PULSE_S:
        return f"The lab was suspended for {stopped_s:.0f} s"
    return f"A machine heard nothing from the lab for {launcher.LEASE_S} s"
