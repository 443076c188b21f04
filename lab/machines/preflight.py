"""`fab check`: are this computer and every machine fit? Each problem comes with a fix."""

import contextlib
import functools
import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pushpull.core.clock import ahead_s
from pushpull.core.errors import ExitCode, LabError, NotFit
from pushpull.core.vocabulary import PORT
from pushpull.core.wording import counted
from pushpull.machines import clock_offset
from pushpull.machines.capabilities import abilities
from pushpull.machines.connection import ssh_errors
from pushpull.machines.inventory import Inventory
from pushpull.machines.pool import at_once
from pushpull.machines.providers.base import Access, Machines
from pushpull.machines.providers.registry import choose, refusals
from pushpull.machines.remote import Remote
from pushpull.machines.tool_errors import RIGHTS

_LEAST_DISK = 100 * 1024 * 1024  # bytes

# Scripts that run on a machine. They get their arguments as JSON.
_ABOUT = """
import json, os, platform, sys
about = {"python": platform.python_version(), "free": 0, "zmq": "no pyzmq"}
about["free"] = (lambda s: s.f_bavail * s.f_frsize)(os.statvfs("."))
try:
    import zmq
    about["zmq"] = "pyzmq {}, libzmq {}".format(zmq.__version__, zmq.zmq_version())
except ImportError:
    pass
print(json.dumps(about))
"""
_LISTEN = """
import json, socket, sys
try:
    place = tuple(json.loads(sys.argv[1]))
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    listener = socket.create_server(place, family=family)
except OSError as error:
    sys.exit(print(error))
print("listening", flush=True)
sys.stdin.read()
"""
_CONNECT = """
import json, socket, sys
failed = {}
for name, place in json.loads(sys.argv[1]).items():
    try:
        socket.create_connection(place, timeout=3).close()
    except OSError as error:
        failed[name] = str(error)
print(json.dumps(failed))
"""
_NAMES = """
import json, socket, sys, threading, time
names = json.loads(sys.argv[1])
found = {}
def look(name):
    try:
        found[name] = {place[0] for *_, place in socket.getaddrinfo(name, None)}
    except OSError:
        found[name] = set()
threads = [threading.Thread(target=look, args=[name], daemon=True) for name in names]
until = time.monotonic() + 5
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(max(0, until - time.monotonic()))
print(json.dumps([name for name in names if names[name] not in found.get(name, ())]), flush=True)
"""
_MOST_NAMES = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check; no hint means that all is well.

    Only some experiments need what isn't `needed`, and those say so themselves.
    """

    subject: str
    what: str
    hint: str = ""
    needed: bool = True

    def __str__(self) -> str:
        mark = "✓" if not self.hint else "✗" if self.needed else "○"
        line = f"{mark} {self.subject:12} {self.what}"
        return f"{line}\n  {'':12} → {self.hint}" if self.hint else line


def check(inventory: Inventory, provider: str) -> ExitCode:
    """Print the findings one by one; MISTAKE if a needed one has a hint."""
    bad = False
    for finding in _findings(inventory, provider):
        bad = bad or (finding.needed and bool(finding.hint))
        print(finding, flush=True)
    return ExitCode.MISTAKE if bad else ExitCode.EXPECTED


def require(remotes: Mapping[str, Remote]) -> None:
    """Raise NotFit for the first problem that makes a machine unsuitable for a run."""
    about = at_once(remotes, lambda remote: list(_about(remote)))
    for finding in itertools.chain(*about.values(), _wire(remotes)):
        if finding.hint and finding.needed:
            raise NotFit(finding.what, where=f"machine {finding.subject}", hint=finding.hint)


def _findings(inventory: Inventory, provider: str) -> Iterator[Finding]:
    yield Finding("this computer", f"Python {sys.version.split()[0]} on {sys.platform}")
    yield Finding("inventory", f"{counted(len(inventory.machines), 'machine')} in {inventory.path}")
    try:
        chosen = choose(provider, inventory, lambda _: None)
        with chosen.lab(keep=False) as machines:
            for what, hint in refusals(chosen):
                yield Finding("this computer", what, hint or "name another --provider")
            yield from _of_machines(machines)
    except LabError as error:
        yield Finding(error.where or "lab", error.what, error.hint or "see above")


def _of_machines(machines: Machines) -> Iterator[Finding]:
    found = at_once(machines.access, _reached)
    remotes = {name: one for name, one in found.items() if isinstance(one, Remote)}
    for name, one in found.items():
        if isinstance(one, LabError):
            place = "" if one.where == f"machine {name}" else f"{one.where}: "
            yield Finding(name, f"not reached: {place}{one.what}", one.hint or "is it up?")
    with contextlib.ExitStack() as stack:
        for remote in remotes.values():
            stack.callback(remote.close)
        fit = at_once(remotes, functools.partial(_fit, machines))
        yield from itertools.chain.from_iterable(fit.values())
        yield from _wire(remotes)


def _reached(access: Access) -> Remote | LabError:
    try:
        return Remote(access)
    except LabError as error:
        return error


def _fit(machines: Machines, remote: Remote) -> list[Finding]:
    about = list(_about(remote))
    if any(finding.hint and finding.needed for finding in about):
        return about  # further checks would only fail for the same reason
    return [*about, _rights(remote), *_able(machines, remote), *_names(machines, remote)]


def _about(remote: Remote) -> Iterator[Finding]:
    access = remote.access
    answer = remote.run([access.python, "-Ic", _ABOUT])
    if not answer:
        yield Finding(remote.name, f"no Python at {access.python}", "provision it: provision/")
        return
    about = _parsed(remote, answer)
    lacks_default = about["zmq"] == "no pyzmq"  # which other implementations don't need
    yield Finding(
        remote.name,
        f"Python {about['python']}, {about['zmq']}",
        "for the default implementation, provision it: provision/" if lacks_default else "",
        needed=False,
    )
    if about["free"] < _LEAST_DISK:
        yield Finding(remote.name, f"only {about['free']:,} bytes of disk are free", "make room")
    with ssh_errors(remote.access, "ask it for its time"):
        measured = clock_offset.measure(remote, clock_offset.our_boot_id())
    ahead, give = measured.offset_s * 1000, measured.uncertainty_s * 1000
    text = f"clock {ahead:+.1f} ms from ours, ± {give:.1f} ms"
    steady = (measured.monotonic_ahead_s or -ahead_s()) + ahead_s()
    if round(steady, 6):
        text += f", its monotonic one {steady:+g} s"
    yield Finding(remote.name, text)


def _rights(remote: Remote) -> Finding:
    if remote.run(remote.as_root(["id", "-u"])).strip() == b"0":
        return Finding(remote.name, "can become root, which network faults need")
    what = "can't become root: its user isn't root, and can't call sudo without a password"
    return Finding(remote.name, what, RIGHTS, needed=False)


def _able(machines: Machines, remote: Remote) -> Iterator[Finding]:
    """Return which faults the lab can inject there."""
    names: dict[tuple[str, str], list[str]] = {}
    for ability in abilities(machines, remote):
        why = ("", "") if (no := ability.refusal) is None else (no.what, no.hint)
        names.setdefault(why, []).append(ability.name)
    for (what, hint), which in sorted(names.items()):
        verb = "can't do" if what else "can do"
        text = f"{verb} {', '.join(which)}{what and ': '}{what}"
        yield Finding(remote.name, text, hint, needed=False)


def _wire(remotes: Mapping[str, Remote]) -> Iterator[Finding]:
    """Let each machine connect to every other one, at its lab address."""
    places = {remote.name: (remote.access.address, PORT) for remote in remotes.values()}
    with contextlib.ExitStack() as stack:
        listeners = at_once(remotes, lambda remote: _listen(remote, places[remote.name], stack))
        for name, said in listeners.items():
            if said != "listening":
                hint = "does it have this address on the lab network? is the port free there?"
                address, port = places.pop(name)
                yield Finding(name, f"can't listen at {address}:{port}: {said}", hint)
        for name, (others, failed) in at_once(remotes, lambda r: _connect(r, places)).items():
            for other, why in failed.items():
                hint = "is the lab network between them up? does a firewall block it?"
                yield Finding(name, f"can't connect to {other}: {why}", hint)
            if not failed:
                yield Finding(name, f"reaches {counted(others, 'other')} on the lab network")


def _listen(remote: Remote, place: tuple[str, int], stack: contextlib.ExitStack) -> str:
    """Let a machine listen until the stack is closed; return `listening`, or why it can't."""
    channel = remote.talk([remote.access.python, "-Ic", _LISTEN, json.dumps(place)])
    stack.enter_context(contextlib.closing(channel))
    with ssh_errors(remote.access, "listen at its lab address"):
        said: str = channel.makefile("r").readline().strip()
    return said


def _connect(
    remote: Remote, places: Mapping[str, tuple[str, int]]
) -> tuple[int, Mapping[str, str]]:
    """Let a machine connect to the others; return their number, and each failure by name."""
    others = {name: place for name, place in places.items() if name != remote.name}
    answer = remote.run([remote.access.python, "-Ic", _CONNECT, json.dumps(others)])
    return len(others), _parsed(remote, answer or b"{}")


def _names(machines: Machines, remote: Remote) -> Iterator[Finding]:
    """Report which machine names don't resolve to their lab addresses there."""
    names = {name: access.address for name, access in machines.access.items()}
    asked = dict(itertools.islice(names.items(), _MOST_NAMES))
    answer = remote.run([remote.access.python, "-Ic", _NAMES, json.dumps(asked)])
    if unknown := _parsed(remote, answer or b"[]"):
        lines = ", ".join(f"{names[name]} {name}" for name in unknown if name in names)
        yield Finding(
            remote.name,
            f"can't resolve {', '.join(map(str, unknown))}; programs get addresses",
            f"to use names, add to its /etc/hosts: {lines}",
            needed=False,
        )


def _parsed(remote: Remote, answer: bytes) -> Any:
    """Decode the answer of one of these scripts; NotFit if it is something else."""
    try:
        return json.loads(answer)
    except ValueError as error:
        raise NotFit(
            "its Python printed something besides the answer",
            where=f"machine {remote.name}",
            hint=f"find out what {remote.access.python} prints there when it starts",
            output=answer[:1000].decode(errors="backslashreplace"),
        ) from error
