"""The processes of a run: each started on its machine and waited for until ready, all ended."""

import contextlib
import itertools
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.records import Event
from pushpull.core.vocabulary import BROKER, PORT
from pushpull.engine.flags import words
from pushpull.engine.monitor import RunMonitor
from pushpull.engine.processes import Process
from pushpull.engine.program import Program, ProtocolProgram, ahead, settings
from pushpull.machines import fetch
from pushpull.machines.pool import at_once
from pushpull.machines.remote import Remote
from pushpull.runs.capture import Capture

_SILENT_S = 20.0  # a connection to a dead machine breaks before, where the system can do that
_CLOSED_S = 2.0  # what is known of a machine's programs when its connection was closed


@dataclass(slots=True, kw_only=True)
class ProcessManager:
    """The connected machines of a run, its programs, and their processes so far.

    `run` is the run directory; `options` are socket options as `NAME=VALUE`: flags of programs that
    speak the protocol, LAB_SET in every program's environment; `load` is what else it finds there.
    `grace_s` are the seconds that it has to end itself, `folder` is the place on each machine to
    which the programs and the user's own `files` are deployed. `wall_clocks` has, for machines
    whose wall clock the lab can set, the variables with which programs see it.
    """

    remotes: dict[str, Remote]
    run: Path
    programs: Mapping[str, Program]
    files: Mapping[str, Path]
    folder: str
    options: Sequence[str]
    grace_s: float
    load: Mapping[str, str]
    capture: Capture
    monitor: RunMonitor
    processes: list[Process] = field(default_factory=list)
    wall_clocks: dict[str, dict[str, str]] = field(default_factory=dict)
    _deployed: set[tuple[str, str]] = field(default_factory=set)

    def machines(self, where: str | Sequence[str]) -> list[str]:
        """Return the names of a machine, of all with a role, or of all of a list of these.

        Raises:
            LabError: there is no such machine or role, or the name is one's and another's.
        """
        if not isinstance(where, str):
            return [machine for one in where for machine in self.machines(one)]
        with_role = [r.name for r in self.remotes.values() if where in r.access.roles]
        named = [where] if where in self.remotes else []
        if named and with_role not in ([], named):
            raise LabError(
                f"'{where}' is a machine, and the role of {' and '.join(with_role)}",
                hint="give one of them another name in the inventory",
            )
        if not named and not with_role:
            roles = dict.fromkeys(role for r in self.remotes.values() for role in r.access.roles)
            raise LabError(
                f"no machine has the name or the role '{where}'",
                hint=f"there are the machines {', '.join(self.remotes)}, with the roles "
                + ", ".join(roles),
            )
        return named or with_role

    def only(self, where: str | Sequence[str]) -> str:
        """Return the name of one machine, found as by `machines`; LabError if there are more."""
        found = list(dict.fromkeys(self.machines(where)))
        if len(found) == 1:
            return found[0]
        raise LabError(
            f"to={where!r} means {len(found)} machines, and a program gets the address of one",
            hint="name one, as to=lab.machines(role)[0]; several addresses are given as a flag,"
            " peers=[lab.address(machine) for machine in lab.machines(role)]",
        )

    def address(self, machine: str, port: int = PORT) -> str:
        """Return the endpoint to bind or connect to on a machine."""
        host = self.remotes[machine].access.address
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"

    def program(self, name: str) -> Program:
        """Return the program with this name; LabError if there is none."""
        if name not in self.programs:
            known = ", ".join(sorted({found.name for found in self.programs.values()}))
            raise LabError(
                f"there is no program '{name}'",
                hint=f"there are: {known}; @experiment(uses=...) names those of the protocol",
            )
        return self.programs[name]

    def start(
        self,
        program: Program,
        machine: str,
        target: str,
        flags: Mapping[str, Any],
        arguments: Sequence[Any],
        *,
        held: bool = False,
    ) -> Process:
        """Start a program on a machine, with the address of `target`, without waiting for it.

        If it is `held`, it stands before its first line on stdout. Programs of the protocol get
        the address of the broker, if there is one between them.
        """
        program.require_callable(flags)
        if program.speaks_protocol and self.broker is not None:
            target = self.broker.machine
            flags = {name: value for name, value in flags.items() if name != "address"}
        address = self.address(target)
        if program.speaks_protocol:
            options = [*_family(program, address), *settings(flags), *self.options]
            flags = {"address": address, **flags, "trace": True, "set": options}
        environment = {
            "PYTHONUNBUFFERED": "1",
            "LAB_MACHINE": machine,
            "LAB_ADDRESS": address,
            "LAB_HOST": self.remotes[target].access.address,
            "LAB_PORT": str(PORT),
            "LAB_SET": " ".join(self.options),
            **self.load,
        }
        called = words(flags, arguments)
        return self._begin(program, machine, called, environment, held=held)

    @property
    def broker(self) -> Process | None:
        """The server between senders and receivers, in its last life so far."""
        return next((p for p in reversed(self.processes) if p.program.is_broker), None)

    def start_broker(self, beside: str) -> Process | None:
        """Start the broker, where the implementation has one and none was started yet.

        It runs on the machine with the role `broker`, else beside the program that the others
        would connect to, on the machine that is given.
        """
        if BROKER not in self.programs or self.broker is not None:
            return None
        own = [r.name for r in self.remotes.values() if BROKER in r.access.roles]
        machine = own[0] if own else beside
        return self.start(self.programs[BROKER], machine, machine, {}, [])

    def start_again(self, process: Process) -> Process:
        """Start a program that has ended once more, with the same flags."""
        return self._begin(
            process.program,
            process.machine,
            process.flags,
            dict(process.environment),
            held=process.held,
        )

    def warm_up(self) -> None:
        """Prepare a quick start of the next program on each machine, while there is time."""
        for remote in self.remotes.values():
            with contextlib.suppress(LabError):  # a machine that is off
                remote.warm_up(self.folder)

    def readmit(self, machine: str) -> None:
        """Connect to a machine that was off, and deploy again, as it lost its files."""
        self.remotes[machine] = Remote(self.remotes[machine].access)
        self.remotes[machine].deploy(self.folder, self.files, ahead(self.programs))
        self._deployed = {place for place in self._deployed if place[0] != machine}
        self.wall_clocks.pop(machine, None)

    def fetch(self, machine: str, path: str) -> Path:
        """Fetch a file from the folder where programs run, see `fetch.one`."""
        into = fetch.files_of(self.run, machine)
        return fetch.one(self.remotes[machine], self.folder, path, into)

    def fetch_all(self) -> None:
        """Fetch what the user's programs left on each machine; an event lists what was left out."""
        places = {p.machine for p in self.processes if not p.program.speaks_protocol}
        at_once({name: self.remotes[name] for name in places}, self._fetch_from)

    def _fetch_from(self, remote: Remote) -> None:
        try:
            into = fetch.files_of(self.run, remote.name)
            fetched = fetch.left(remote, self.folder, self.files, into)
        except LabError as error:
            details: dict[str, Any] = {"lost": error.what}
        else:
            details = {"files": len(fetched.names), "left_out": dict(fetched.left_out)}
        if any(details.values()):
            event = Event(t=clock.now(), event="fetched", machine=remote.name, details=details)
            self.monitor.event(event)

    def stop(self) -> None:
        """End every process with SIGTERM, and the remaining ones with SIGKILL after `grace_s`.

        A machine that doesn't confirm the end counts as lost.
        """
        self.end(self.processes)

    def end(self, processes: Iterable[Process]) -> None:
        """End some of them as `stop` ends all."""
        running = [process for process in processes if not process.ended]
        for process in running:
            process.ended_by = "harness"
            if process.paused:  # it would get the signal only after it continues
                process.end()
            else:
                process.signal(signal.SIGTERM)
        if not self.monitor.settled_within(self.grace_s, lambda: all(p.ended for p in running)):
            for process in running:
                # Programs of the protocol have nothing to say after SIGTERM.
                if not (process.ended or process.paused or process.program.speaks_protocol):
                    process.killed_after_s = self.grace_s
                process.end()
            self.monitor.settled_within(_SILENT_S, lambda: all(p.ended for p in running))
        for process in running:
            if not process.ended:
                process.remote.close()
        self.monitor.settled_within(_CLOSED_S, lambda: all(p.ended for p in running))

    def _deploy(self, process: Process) -> None:
        """Make a program ready on a machine when it's first needed: the lab's own are many."""
        place = (process.machine, process.program.file)
        if place not in self._deployed:
            process.program.deploy(process.remote, self.folder)
            self._deployed.add(place)

    def _begin(
        self,
        program: Program,
        machine: str,
        flags: list[str],
        environment: dict[str, str],
        *,
        held: bool,
    ) -> Process:
        taken = {p.name for p in self.processes if p.machine == machine}
        names = (f"{program.name}.{life}" for life in itertools.count(2))
        name = next(n for n in itertools.chain([program.name], names) if n not in taken)
        remote = self.remotes[machine]
        environment |= self.wall_clocks.get(machine, {})
        process = Process(name, program, remote, self.monitor, flags, environment, held=held)
        self._deploy(process)
        self.processes.append(process)
        if program.is_broker:
            self.monitor.unshown.add(process.place)
        self.monitor.event(
            Event(
                t=clock.now(),
                event="start",
                machine=machine,
                process=name,
                details=_origin(program) | {"role": ", ".join(remote.access.roles)},
            )
        )
        process.start(self.capture, self.folder)
        return process


def _family(program: Program, address: str) -> list[str]:
    """Return the socket option without which a library such as libzmq takes IPv4 addresses only."""
    needed = "[" in address and isinstance(program, ProtocolProgram) and "IPV6" in program.offers
    return ["IPV6=1"] if needed else []


def _origin(program: Program) -> dict[str, str]:
    """Return what the event of its start says of a program."""
    said = {"implementation": program.implementation} if program.speaks_protocol else {}
    return {"program": program.name, **said}
