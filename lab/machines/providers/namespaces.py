"""The provider `namespaces`: machines made from this Linux computer's namespaces, without root.

supervisor.py describes the namespaces and their lifetimes, guest.py what a machine has for itself.
This file knows why a kernel may refuse namespaces, and what to do about that.
"""

import errno
import os
import sys
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.machines.inventory.settings import number, section, text
from pushpull.machines.providers.base import Auto, Refused
from pushpull.machines.providers.embedded.provider import AHEAD, Embedded, IsolatedMachines

_VM_WAY = "virtual machines (`vagrant up`) need none of this"
_MOST_AHEAD_S = 3_000_000_000  # the kernel allows for less than 146 years
_PROFILE = "/etc/apparmor.d/push-pull-lab"


class Namespaces(Embedded):
    """The provider `namespaces`; machines get the addresses that the inventory lists."""

    name = "namespaces"
    summary = "machines made from Linux namespaces, each with its own network; Linux 5.12 or later"
    settings = section(
        "settings, such as {visible: /opt/tools}",
        {
            "visible": text(
                "folders of this computer, such as /opt/tools:~/data", format="local-folders"
            )
        },
    )
    machine_settings = section(
        "settings, such as {monotonic_ahead_s: 3600}",
        {AHEAD: number(-_MOST_AHEAD_S, _MOST_AHEAD_S, "seconds, such as 3600 or -5")},
    )
    faults = IsolatedMachines.faults
    knows_names = True
    auto = Auto(order=20)
    isolated = True

    def explain(self, step: str, number: int) -> Refused:
        if number == errno.ERANGE:
            raise LabError(
                f"the kernel can't {step}: it would be below 0, or more than 146 years ahead",
                where=str(self.inventory.path),
                hint=f"give the machine another {AHEAD}",
            )
        cause, hint = _cause_and_hint(number)
        return Refused(
            f"the kernel refuses namespaces ({step}): {cause}", hint=f"{hint}\n  {_VM_WAY}"
        )


def _cause_and_hint(number: int) -> tuple[str, str]:
    if not sys.platform.startswith("linux"):
        return "this is not Linux", "use virtual machines"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor forbids them for programs without a profile (Ubuntu 23.10 and later)",
            "until the next boot:  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0\n"
            f"  permanently, for this Python only:\n{_profile_lines()}",
        )
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return (
            "they are turned off for users other than root",
            "until the next boot:  sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if _setting("user/max_user_namespaces") == "0":
        return (
            "user.max_user_namespaces is 0",
            "until the next boot:  sudo sysctl -w user.max_user_namespaces=15000",
        )
    if number == errno.ENOSYS:
        return "it is older than Linux 5.12", "use a newer kernel"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return (
            "this container forbids them",
            "start it with:  --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
            " --security-opt systempaths=unconfined",
        )
    return os.strerror(number), "see whether `unshare --user --map-root-user --net true` works"


def _setting(name: str) -> str | None:
    path = Path("/proc/sys") / name
    return path.read_text().strip() if path.exists() else None


def _profile_lines() -> str:
    python = Path(sys.executable).resolve()
    profile = f"abi <abi/4.0>, profile push-pull-lab {python} flags=(unconfined) {{ userns, }}"
    return (
        f"    echo '{profile}' | sudo tee {_PROFILE}\n    sudo apparmor_parser --replace {_PROFILE}"
    )


PROVIDER = Namespaces
