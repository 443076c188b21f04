"""What is to be installed on a machine for an implementation of the lab's programs, as data."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Packages and where they come from.

    Attributes:
        debian: names as apt-get takes them, such as `ruby` or `python2.7=2.7.18*`.
        suite: the release of Debian that has them; empty for the machine's own.
        python: the Python for which those of PyPI are; empty for the machine's lab Python.
        pypi: pinned requirements, such as `pynng==0.9.0`, with hashes if wanted; wheels only.
        sdists: the same for those that have no wheel and are compiled.
        npm: pinned, such as `zeromq@6.8.0`.
        build: commands that are run after that, such as those of a compiler.
    """

    debian: tuple[str, ...] = ()
    suite: str = ""
    python: str = ""
    pypi: tuple[str, ...] = ()
    sdists: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    build: tuple[tuple[str, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.debian or self.pypi or self.sdists or self.npm or self.build)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The packages of one version of an implementation.

    Attributes:
        title: the implementation and its version, such as `pyzmq@22.3.0`.
        packages: what is installed.
        files: what the commands of `packages.build` find in their folder `{here}`, by name.
    """

    title: str
    packages: Packages
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Return the name of its folder on every machine; other content has another name."""
        content = hashlib.sha256(json.dumps(asdict(self.packages), sort_keys=True).encode())
        for name, path in sorted(self.files.items()):
            content.update(f"\0{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return f"{self.title}-{content.hexdigest()[:12]}"
