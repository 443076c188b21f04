"""The power switch of a VM: off at once, like pulling the plug, and on again."""

import socket
import threading
import time
from collections.abc import Mapping, Sequence

from pushpull.core.errors import LabError
from pushpull.machines import tools
from pushpull.machines.providers.vagrant.state_files import Vm

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
    """Cut a VM's power; LabError if that fails."""
    _switch(vm, _OFF)


def on(vm: Vm) -> None:
    """Switch a VM on, without waiting until it has booted; LabError if that fails."""
    _switch(vm, _ON)


def wait_for_ssh(host: str, port: int) -> bool:
    """Wait until an SSH server answers; return whether it did within BOOT_TIMEOUT_S seconds."""
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while not _greets(host, port):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(_RETRY_S)  # a booting machine sends no event for this
    return True


def _switch(vm: Vm, commands: Mapping[str, Sequence[str]]) -> None:
    if vm.hypervisor not in commands:
        raise LabError(
            f"the lab can't switch the power of a VM in {vm.hypervisor}",
            hint=f"use {' or '.join(commands)}",
        )
    words = [word.format(id=vm.id) for word in commands[vm.hypervisor]]
    tools.ask(words, timeout_s=SWITCH_TIMEOUT_S, LIBVIRT_DEFAULT_URI="qemu:///system")


def _greets(host: str, port: int) -> bool:
    # An accepted connection proves nothing: a forwarded port accepts before the server is up.
    try:
        with socket.create_connection((host, port), timeout=_GREETING_TIMEOUT_S) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
