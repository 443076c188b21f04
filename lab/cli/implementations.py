"""`fab implementations`: lists the implementations of the lab's programs, and installs them."""

from collections.abc import Iterator

from pushpull.core.errors import LabError
from pushpull.experiments import implementations
from pushpull.experiments.manifest import Manifest
from pushpull.machines import installer


def print_all() -> None:
    """Print each implementation and its versions: what it is, and whether it is installed."""
    for name in implementations.names():
        one = implementations.get(name)
        print(f"{one.title:18} {' '.join(filter(None, [one.summary, one.shown_version]))}")
        print(f"{'':18} {_state(one)}")
        for version in one.versions.items():
            print(f"  @{version[0]:15} {version[1]}")
            print(f"{'':18} {_state(implementations.get(f'{name}@{version[0]}'))}")


def install(title: str) -> None:
    """Install an implementation on this computer.

    Raises:
        LabError: there is none of this name, the lab can't install it, or something failed.
    """
    one = implementations.get(title)
    if not one.installation.packages:
        raise _not_ours(one)
    print(f"installing {one.title}: {', '.join(_packages(one))}", flush=True)
    print(f"installed: {installer.install(one.installation)}")


def print_script(title: str) -> None:
    """Print the script that installs an implementation on another machine.

    Raises:
        LabError: there is none of this name, or the lab can't install it.
    """
    one = implementations.get(title)
    if not one.installation.packages:
        raise _not_ours(one)
    print(installer.script(one.installation), end="")


def _state(one: Manifest) -> str:
    if not one.installation.packages:
        return f"to be installed by you, where it is missing: {one.install}" if one.install else ""
    if installer.is_installed(one.installation):
        return "installed"
    return f"install it: ./fab implementations --install {one.title}"


def _not_ours(one: Manifest) -> LabError:
    hint = (
        f"what it needs is installed by you: {one.install}" if one.install else "it needs nothing"
    )
    return LabError(f"the lab has nothing to install for '{one.title}'", hint=hint)


def _packages(one: Manifest) -> Iterator[str]:
    packages = one.installation.packages
    yield from (*packages.debian, *packages.pypi, *packages.sdists, *packages.npm)
