"""All guests of an embedded lab, as its init process starts, watches and breaks them."""

import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, MEND_CABLE, POWER_ON, SHUT_DOWN
from pushpull.machines.providers.embedded import guest, machine_root
from pushpull.machines.providers.embedded.netlink import Netlink

_BRIDGE = "lab"
_OFF = 0  # the pid of a guest that is off


class PlainGuests:
    """Guests that are plain processes, with their files below `scratch`; they have no faults."""

    def __init__(self, guest_specs: list[guest.GuestSpec], scratch: Path) -> None:
        self._pids: dict[str, int] = {}
        for guest_spec in guest_specs:
            folder = scratch / guest_spec.name
            folder.mkdir()
            self._pids[guest_spec.name] = guest.fork_plain(guest_spec, folder)

    def obey(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the only possible request, for the machines' states."""
        return {"machines": _states(self._pids)}


class IsolatedGuests:
    """Guests in their own namespaces, each linked to a bridge in ours.

    A request names what to `do` and to which `machine` (`repair` applies to all); the answer is
    empty on success.
    """

    def __init__(self, guest_specs: list[guest.GuestSpec], visible: list[str]) -> None:
        self._guest_specs = {guest_spec.name: guest_spec for guest_spec in guest_specs}
        self._numbers = {guest_spec.name: number for number, guest_spec in enumerate(guest_specs)}
        self._visible = visible
        machine_root.enter_shared(visible, _hosts_file(guest_specs))
        self._pids: dict[str, int] = {}
        self._netlink = Netlink()
        self._netlink.add_bridge(_BRIDGE)
        self._bridge = socket.if_nametoindex(_BRIDGE)
        self._turn = os.memfd_create("turn")
        gc.freeze()  # a collection in a guest would write to, and so copy, all of our memory
        self._start(list(guest_specs))

    def obey(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a request."""
        actions: dict[str, Callable[[str], None]] = {
            CUT_POWER.name: self._cut_power,
            SHUT_DOWN.name: self._shut_down,
            POWER_ON.name: self._power_on,
            CUT_CABLE.name: lambda name: self._set_link(name, up=False),
            MEND_CABLE.name: lambda name: self._set_link(name, up=True),
            "repair": lambda _: self._repair(),
        }
        if request["do"] == "status":
            return {"machines": _states(self._pids)}
        actions[request["do"]](request["machine"])
        return {}

    def _cut_power(self, name: str) -> None:
        # The link first: a killed process would still close its connections with a FIN.
        self._set_link(name, up=False)
        self._end(name)

    def _shut_down(self, name: str) -> None:
        self._end(name)

    def _power_on(self, name: str) -> None:
        if self._pids[name] != _OFF:
            return
        self._start([self._guest_specs[name]])

    def _repair(self) -> None:
        """Undo every active fault."""
        for name in self._guest_specs:
            self._power_on(name)
            self._set_link(name, up=True)

    def _start(self, guest_specs: list[guest.GuestSpec]) -> None:
        """Fork all guests at once, because each takes a while; return when all are ready."""
        answers, their_end = socket.socketpair()
        with answers:
            with their_end:
                for guest_spec in guest_specs:
                    name = guest_spec.name
                    plug = guest.Plug(self._bridge, self._link(name), self._turn)
                    self._pids[name] = guest.fork_isolated(
                        guest_spec, plug, self._visible, their_end
                    )
            guest.wait_ready(len(guest_specs), answers)

    def _end(self, name: str) -> None:
        if (pid := self._pids[name]) == _OFF:
            return
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._pids[name] = _OFF
        # The kernel removes its network later, but a returning guest needs the link's name now.
        with contextlib.suppress(OSError):
            self._netlink.delete_link(self._link(name))

    def _set_link(self, name: str, *, up: bool) -> None:
        if self._pids[name] != _OFF:
            self._netlink.set_link(self._link(name), up=up)

    def _link(self, name: str) -> str:
        return f"m{self._numbers[name]}"


def _hosts_file(guest_specs: list[guest.GuestSpec]) -> str:
    """Return an /etc/hosts that lets every machine resolve every other's name."""
    lines = [
        "127.0.0.1 localhost",
        *(f"{guest_spec.address} {guest_spec.name}" for guest_spec in guest_specs),
    ]
    return "\n".join(lines) + "\n"


def _states(pids: dict[str, int]) -> dict[str, str]:
    """Return each machine's state; a guest that died unexpectedly is `gone`."""
    states = {}
    for name, pid in pids.items():
        states[name] = "off" if pid == _OFF else "running" if _lives(pid) else "gone"
    return states


def _lives(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
