"""`fab run-experiment --stop-on-refuted`: a prompt in a run whose invariant was broken."""

import code
import contextlib
import shlex
import sys
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from pushpull.cli import interrupts
from pushpull.core.project import COMMAND
from pushpull.core.text import harmless
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.scenario import Lab
from pushpull.machines.remote import Remote

_LONGEST = 2000  # characters


class Closable(Protocol):
    """Where the run is shown until then."""

    def close(self) -> None: ...


class Machine:
    """A machine at the prompt."""

    def __init__(self, remote: Remote) -> None:
        self.name = remote.name
        self.roles = remote.access.roles
        self.address = remote.access.address
        self._remote = remote

    def run(self, command: str) -> None:
        """Run a command there, and print its output; LabError if it fails."""
        output = self._remote.run(["/bin/sh", "-c", command])
        print(output.decode(errors="backslashreplace"), end="")

    def __repr__(self) -> str:
        return f"<{self.name}, {'/'.join(self.roles)}, {self.address}>"


def stop(view: Closable, lab: Lab, manager: ProcessManager, statement: str) -> None:
    """Let the user look around while all is up; return at once where there is no terminal.

    Arguments:
        view: where the run was shown; it is closed.
        lab: the lab of the scenario, which has ended.
        manager: has its machines and processes.
        statement: what is no longer true.
    """
    view.close()
    print(f"\nno longer true: {harmless(statement, _LONGEST)}")
    if not sys.stdin.isatty():
        print("Standard input is no terminal, so no prompt opens, and the run ends now.")
        print(f"To look at what it left: {COMMAND} open --run {shlex.quote(str(lab.path))}")
        return
    sys.stdout.flush()
    names = _names(lab, manager)
    # The prompt takes a KeyboardInterrupt for its own Ctrl-C.
    with interrupts.closing(_leave), contextlib.suppress(SystemExit):
        code.interact(_banner(manager, names), local=dict(names), exitmsg="")
    print("The run ends now.", flush=True)


def _names(lab: Lab, manager: ProcessManager) -> Mapping[str, Any]:
    machines = {name: Machine(remote) for name, remote in manager.remotes.items()}
    own = {name.replace("-", "_"): machine for name, machine in machines.items()}
    processes = {str(process): process for process in manager.processes}
    return own | {"lab": lab, "machines": machines, "processes": processes}


def _banner(manager: ProcessManager, names: Mapping[str, Any]) -> str:
    name = next(iter(manager.remotes))
    machine = name.replace("-", "_")
    return "\n".join(
        [
            "The lab stays up and its programs run on, without any limit, until you leave: Ctrl-D.",
            f"  machines   {', '.join(names['machines'])}: try {machine}.run('ip addr')",
            f"  processes  {', '.join(names['processes'])}",
            "  lab        what the scenario had: try lab.kill(processes['...'])",
            f"In another terminal: {COMMAND} ssh --machine {name}",
        ]
    )


def _leave() -> NoReturn:
    raise SystemExit
