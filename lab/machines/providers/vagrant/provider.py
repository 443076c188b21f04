"""The provider `vagrant`: the VMs of the project's Vagrantfile, which Vagrant itself manages.

A call of `vagrant` takes a second or more. So the lab asks only once how to reach the machines, and
caches the answer until Vagrant's own files show that it has looked at a machine since then (see
state_files.py).
"""

import contextlib
import ipaddress
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pushpull.core import project
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Fault
from pushpull.core.faults.machine import CUT_POWER, POWER_ON
from pushpull.machines import lab_folder, ssh_library, tools
from pushpull.machines.inventory import Inventory, Machine
from pushpull.machines.inventory.settings import number, section, text
from pushpull.machines.providers.base import NETWORK, Access, Auto, Machines, Provider
from pushpull.machines.providers.vagrant import power, state_files

_ANSWER_TIMEOUT_S = 120
_WORK = ".cache/push-pull-lab"
_PYTHON = "/opt/lab/venv/bin/python"
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
_NO_VAGRANT = "install Vagrant (docs/vms.md), or use machines without it: --provider namespaces"
_NO_BOX = (
    "Vagrant says above why. If the box is unavailable, name another one in the inventory,"
    " such as `box: cloud-image/ubuntu-24.04`; see docs/vms.md for troubleshooting"
)
_NEW_KEYS = (
    "another machine answers there, or the VM has new keys:"
    " vagrant destroy -f {0} && vagrant up {0}"
)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Vms(Provider):
    """The VMs of the inventory next to the Vagrantfile, which reads their settings.

    `say` is called with each Vagrant command before it runs.
    """

    name = "vagrant"
    summary = "virtual machines, by Vagrant with VirtualBox or libvirt (docs/vms.md)"
    settings = section(
        "settings, such as {memory: 512}",
        {
            "box": text("the name of a box, such as bento/ubuntu-24.04"),
            "box_version": text('a version of the box, such as "202508.03.0"'),
            "memory": number(256, 1 << 20, "a number of MiB from 256 to 1048576, such as 512"),
            "cpus": number(1, 256, "a number from 1 to 256"),
        },
    )
    faults = NETWORK | {CUT_POWER, POWER_ON}
    knows_names = True
    auto = Auto(order=10, only_if_up=True)

    def __init__(self, inventory: Inventory, say: Callable[[str], None] = _say) -> None:
        super().__init__(inventory)
        self.say = say

    def is_up(self) -> bool:
        """Return whether Vagrant last saw all machines running, without calling Vagrant."""
        found = [state_files.find(machine.name) for machine in self.inventory.machines]
        return self._is_vagrants() and all(vm is not None and vm.running for vm in found)

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Machines]:
        self._require_vagrants()
        if keep and not self.is_up():
            self.up()
        with lab_folder.reserved(self._folder()):
            yield _VmMachines(self._machines(), self)

    def up(self) -> None:
        self._require_vagrants()
        self._delegate("up", hint=_NO_BOX)

    def down(self) -> bool:
        """Halt the machines. Their disks stay; only the user deletes those."""
        if "running" not in self._states().values():
            return False
        self._delegate("halt", hint="Vagrant says above why")
        self.say("the disks are kept; `vagrant destroy` deletes them")
        return True

    def status(self) -> Mapping[str, str]:
        self.say("$ vagrant status")
        return self._states()

    def own_shell(self, machine: str) -> bool:
        """Call `vagrant ssh`, which also says if the machine isn't running."""
        self._require_vagrants()
        state_files.found(machine)
        self._call("ssh", machine)
        return True

    def _states(self) -> dict[str, str]:
        self._require_vagrants()
        states = {}
        for line in _ask("status", "--machine-readable").splitlines():
            _, machine, kind, *data = (*line.split(","), "", "")
            if kind == "state":
                states[machine] = data[0].replace("not_created", "not up")
        return {each.name: states.get(each.name, "not up") for each in self.inventory.machines}

    def power_off(self, machine: str) -> None:
        """Cut a machine's power: it closes no connection, and writes nothing to its disk.

        Returns when it is off. Raises LabError if that fails.
        """
        power.off(state_files.found(machine))

    def power_on(self, machine: str) -> None:
        """Switch a machine on, and wait until it answers SSH; LabError if it doesn't in time."""
        power.on(state_files.found(machine))
        there = self._read()["machines"][machine]
        _require_own_link(machine, there["host"])
        if not power.wait_for_ssh(there["host"], there["port"]):
            raise LabError(
                f"it does not answer SSH {power.BOOT_TIMEOUT_S} s after power-on",
                where=f"machine {machine}",
                hint=f"vagrant up {machine}",
            )

    def _machines(self) -> dict[str, Access]:
        cached = self._read()
        if not self._is_fresh(cached):
            cached = self._asked(cached)
            self._keep(cached)
        machines = self.inventory.machines
        accesses = {each.name: _access(each, cached["machines"][each.name]) for each in machines}
        for name, access in accesses.items():
            _require_own_link(name, access.host)
        return accesses

    def _is_fresh(self, cached: Mapping[str, Any]) -> bool:
        """Return whether Vagrant's last answer is still valid: another `up` may change a port."""
        return cached["look"] == state_files.last_look() and all(
            cached["machines"].get(machine.name, {}).get("id") == _id(machine.name)
            for machine in self.inventory.machines
        )

    def _asked(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Ask Vagrant how to reach each machine; for a new one, ask for its host key too."""
        ssh_library.get_ready()
        import paramiko

        self._require_running()
        config = paramiko.SSHConfig.from_text(_ask("ssh-config"))
        answers = {}
        for machine in self.inventory.machines:
            name = machine.name
            there, then = config.lookup(name), before["machines"].get(name, {})
            _require_own_link(name, there["hostname"])
            same = then.get("id") == _id(name)
            answers[name] = {
                "id": _id(name),
                "host": there["hostname"],
                "port": int(there["port"]),
                "user": there["user"],
                "key_file": there["identityfile"][0],
                "host_key": then["host_key"] if same else _host_key(name),
            }
        # Take the time last, as Vagrant looks at a machine for each answer.
        return {"machines": answers, "look": state_files.last_look()}

    def _require_running(self) -> None:
        states = self._states()
        off = [f"{name} is {there}" for name, there in states.items() if there != "running"]
        if off:
            raise LabError(f"not all VMs are running: {', '.join(off)}", hint="vagrant up")

    def _is_vagrants(self) -> bool:
        return self.inventory.path.resolve() == project.PROJECT / "inventory.yaml"

    def _require_vagrants(self) -> None:
        if not self._is_vagrants():
            raise LabError(
                "Vagrant's VMs belong to the inventory next to the Vagrantfile, not to this one",
                where=str(self.inventory.path),
                hint=f"change {project.PROJECT / 'inventory.yaml'}, or use another provider",
            )

    def _delegate(self, command: str, *, hint: str) -> None:
        if self._call(command):
            raise LabError(f"`vagrant {command}` failed", hint=hint)

    def _call(self, *words: str) -> int:
        """Print a Vagrant command and run it on the user's terminal; return its exit status."""
        if shutil.which("vagrant") is None:
            raise LabError("there is no command 'vagrant' here", hint=_NO_VAGRANT)
        self.say(f"$ vagrant {' '.join(words)}")
        return subprocess.run(["vagrant", *words], cwd=project.PROJECT).returncode

    def _folder(self) -> Path:
        return lab_folder.folder("vagrant", self.inventory)

    def _read(self) -> dict[str, Any]:
        nothing: dict[str, Any] = {"machines": {}, "look": None}
        try:
            kept: dict[str, Any] = json.loads((self._folder() / "machines.json").read_text())
        except FileNotFoundError:
            return nothing
        return nothing | kept

    def _keep(self, answers: dict[str, Any]) -> None:
        new = self._folder() / "machines.json.new"
        new.write_text(json.dumps(answers, indent=2))
        new.rename(new.with_suffix(""))


class _VmMachines(Machines):
    """VMs, whose power their hypervisor switches."""

    faults = Vms.faults
    foreign = True

    def __init__(self, access: Mapping[str, Access], vms: Vms) -> None:
        super().__init__(access)
        self._vms = vms

    def do(self, fault: Fault, machine: str) -> None:
        if fault == CUT_POWER:
            self._vms.power_off(machine)
        elif fault == POWER_ON:
            self._vms.power_on(machine)
        else:
            super().do(fault, machine)


def _access(machine: Machine, answer: Mapping[str, Any]) -> Access:
    return Access(
        provider="vagrant",
        machine=machine.name,
        roles=machine.roles,
        address=machine.address,
        host=answer["host"],
        port=answer["port"],
        user=answer["user"],
        key_file=Path(answer["key_file"]),
        host_key=answer["host_key"],
        if_key_changed=_NEW_KEYS.format(machine.name),
        work=_WORK,
        python=_PYTHON,
    )


def _ask(*words: str) -> str:
    return tools.ask(["vagrant", *words], timeout_s=_ANSWER_TIMEOUT_S, hint=_NO_VAGRANT)


def _id(machine: str) -> str:
    return state_files.found(machine).id


def _host_key(machine: str) -> str:
    """Read a machine's host key over Vagrant's own SSH connection."""
    for line in _ask("ssh", machine, "-c", f"cat {_HOST_KEY}").splitlines():
        if line.startswith("ssh-ed25519 "):
            return " ".join(line.split()[:2])
    raise LabError(f"there is no host key in {_HOST_KEY}", where=f"machine {machine}")


def _require_own_link(machine: str, host: str) -> None:
    """Refuse a machine that is on none of our networks: our packets would go to a stranger.

    This happens in another network namespace than that of the machine's hypervisor.
    """
    if not sys.platform.startswith("linux") or _is_loopback(host):
        return
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as netlink, contextlib.suppress(NetlinkError, OSError):
        (route,) = netlink.route("get", dst=socket.gethostbyname(host))
        if route.get_attr("RTA_GATEWAY") is None:
            return
    raise LabError(
        f"its address {host} is not on any network of this computer",
        where=f"machine {machine}",
        hint="its hypervisor may be in another network namespace: run fab there",
    )


def _is_loopback(host: str) -> bool:
    """Return whether a host, given by address or name, is this computer."""
    with contextlib.suppress(OSError):
        return ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
    return False
