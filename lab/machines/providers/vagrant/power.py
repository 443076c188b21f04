"""The power switch of a VM: off at once, as when its cord is pulled, and on again."""

import socket
import threading
import time
from collections.abc import Mapping, Sequence

from lab.core.errors import LabError
from lab.machines import tools
from lab.machines.providers.vagrant.state_files import Vm

SWITCH_TIMEOUT_S = 30
BOOT_TIMEOUT_S = 300  # on two cores without KVM a VM takes half a minute
_GREETING_TIMEOUT_S = 5
_RETRY_S = 0.2
_OFF: Mapping[str, Sequence[str]] = {
    "libvirt": ["virsh", "destroy", "{id}"],
    "virtualbox": ["VBoxManage", "controlvm", "{id}", "poweroff"],
}
_ON: Mapping[str, Sequence[str]] = {
    "libvirt": ["virsh", "start", "{id}"],
    "virtualbox": ["VBoxManage", "startvm", "{id}", "--type", "headless"],
}


def off(vm: Vm) -> None:
    """Cut a VM's power; LabError when that can't be done."""
    _switch(vm, _OFF)


def on(vm: Vm) -> None:
    """Switch a VM on, not waiting until it has booted; LabError when that can't be done."""
    _switch(vm, _ON)


def wait_for_ssh(host: str, port: int) -> bool:
    """Wait until an SSH server greets there; return whether one did in BOOT_TIMEOUT_S seconds."""
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while not _greets(host, port):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(_RETRY_S)  # nothing tells when a booting machine is that far
    return True


def _switch(vm: Vm, commands: Mapping[str, Sequence[str]]) -> None:
    if vm.hypervisor not in commands:
        raise LabError(
            f"the power of {vm.hypervisor}'s VMs can't be switched",
            hint=f"use {' or '.join(commands)}",
        )
    words = [word.format(id=vm.id) for word in commands[vm.hypervisor]]
    tools.ask(words, timeout_s=SWITCH_TIMEOUT_S, LIBVIRT_DEFAULT_URI="qemu:///system")


def _greets(host: str, port: int) -> bool:
    # That it accepts tells nothing: a forwarded port does before there is a server behind it.
    try:
        with socket.create_connection((host, port), timeout=_GREETING_TIMEOUT_S) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
