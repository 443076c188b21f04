"""Checks that machines have what an experiment or its programs need besides their files."""

import posixpath
import shlex
from collections.abc import Mapping, Sequence

from pushpull.core.errors import NotFit
from pushpull.core.installation import Installation
from pushpull.machines import installer
from pushpull.machines.providers.base import Access
from pushpull.machines.remote import Remote

_PYTHON, _PERL = "python:", "perl:"
_COMMANDS = 'for name; do command -v "$name" >/dev/null || echo "$name"; done'
_MODULES = (
    "import importlib.util, sys\n"
    "for name in sys.argv[1:]:\n"
    "    if importlib.util.find_spec(name.partition('.')[0]) is None:\n"
    "        print(name)\n"
)
_PERL_MODULES = 'for (@ARGV) { my $name = $_; eval "require $name; 1" or print "$name\\n" }'
# Debian's packages of commands that have another name.
_PACKAGES = {
    "cc": "gcc", "dig": "dnsutils", "ip": "iproute2", "java": "default-jre-headless",
    "javac": "default-jdk-headless", "nc": "netcat-openbsd", "nft": "nftables", "node": "nodejs",
    "pgrep": "procps", "psql": "postgresql-client", "redis-cli": "redis-tools",
    "ss": "iproute2", "tc": "iproute2",
}  # fmt: skip


def different(remotes: Mapping[str, Remote]) -> dict[str, Remote]:
    """Return one of the machines for each set of programs: what it has, all like it have."""
    return {str(id(remote.access.provides)): remote for remote in remotes.values()}


def require(
    remote: Remote,
    needs: Sequence[str],
    *,
    by: str = "this experiment",
    install: str = "",
    installation: Installation | None = None,
) -> None:
    """Raise NotFit if a machine lacks something, with the command that installs it.

    What it was seen to have is not looked for again.

    Arguments:
        remote: the machine.
        needs: commands, such as `awk`, and modules of its lab Python, such as `python:numpy`, or
            of Perl, such as `perl:Time::HiRes`.
        by: who needs it.
        install: the command; `{python}` in it is the machine's lab Python.
        installation: what the lab installs itself, where the needs are looked for first.
    """
    enter: list[str] = []
    if installation is not None and installation.packages:
        enter = [_entered(remote, installation, by)]
        if installation.packages.python:  # its modules are those that were installed
            needs = [need for need in needs if not need.startswith(_PYTHON)]
    of_kind: dict[str, list[str]] = {"": [], _PYTHON: [], _PERL: []}
    for need in needs:
        if not enter and need in remote.access.provides:
            continue
        kind = next((one for one in (_PYTHON, _PERL) if need.startswith(one)), "")
        of_kind[kind].append(need.removeprefix(kind))
    python = remote.access.python
    for argv, names, usual in (
        (
            ["sh", "-c", _COMMANDS, "sh"],
            of_kind[""],
            "install it there, e.g.: apt-get install {}",
        ),
        ([python, "-c", _MODULES], of_kind[_PYTHON], "{python} -m pip install {}  # there"),
        (["perl", "-e", _PERL_MODULES], of_kind[_PERL], "install it there, e.g.: cpan {}"),
    ):
        missing = remote.run([*enter, *argv, *names]).decode().split() if names else []
        if missing:
            packages = [_PACKAGES.get(name, name) for name in missing]
            usual = usual.replace("{}", " ".join(dict.fromkeys(packages)))
            hint = f"{install}  # there" if install else usual
            raise NotFit(
                f"it lacks what {by} needs: {', '.join(missing)}",
                where=f"machine {remote.name}",
                hint=hint.replace("{python}", shlex.quote(python)),
            )
    if not enter:
        remote.access.provides.update(needs)


def _entered(remote: Remote, installation: Installation, by: str) -> str:
    """Return the script that runs commands inside an installation; NotFit if there is none."""
    access = remote.access
    enter = posixpath.join(access.implementations, installation.folder, installer.ENTER)
    if remote.run(["sh", "-c", '[ ! -x "$1" ] || echo yes', "sh", enter]).strip() != b"yes":
        raise NotFit(
            f"it lacks what {by} needs: {installation.title} is not installed",
            where=f"machine {remote.name}",
            hint=_line(installation, access),
        )
    return enter


def _line(one: Installation, access: Access) -> str:
    """Return the command line that installs it on a machine."""
    if access.implementations == str(installer.root()):
        return f"./fab implementations --install {one.title}"
    there = f"ssh {access.user}@{access.host}" if access.user else f"ssh {access.host}"
    there += f" -p {access.port}" if access.port not in (None, 22) else ""
    if access.provider == "vagrant":
        there = f"vagrant ssh {access.machine} -c"
    return f"./fab implementations --script {one.title} | {there} 'sudo sh'"
