"""What an experiment or its programs need on the machines beyond their files: is it there?"""

import shlex
from collections.abc import Sequence

from lab.core.errors import NotFit
from lab.machines.remote import Remote

_PYTHON, _PERL = "python:", "perl:"
_COMMANDS = 'for name; do command -v "$name" >/dev/null || echo "$name"; done'
_MODULES = (
    "import importlib.util, sys\n"
    "for name in sys.argv[1:]:\n"
    "    if importlib.util.find_spec(name.partition('.')[0]) is None:\n"
    "        print(name)\n"
)
_PERL_MODULES = 'for (@ARGV) { my $name = $_; eval "require $name; 1" or print "$name\\n" }'


def require(
    remote: Remote, needs: Sequence[str], *, by: str = "this experiment", install: str = ""
) -> None:
    """Raise NotFit where a machine lacks something, with the line that installs it.

    Arguments:
        remote: the machine.
        needs: commands, as `awk`, and modules of its lab Python, as `python:numpy`, or of Perl.
        by: who needs it.
        install: the line; `{python}` in it is the machine's lab Python.
    """
    of_kind: dict[str, list[str]] = {"": [], _PYTHON: [], _PERL: []}
    for need in needs:
        kind = next((one for one in (_PYTHON, _PERL) if need.startswith(one)), "")
        of_kind[kind].append(need.removeprefix(kind))
    python = remote.access.python
    for argv, names, usual in (
        (
            ["sh", "-c", _COMMANDS, "sh"],
            of_kind[""],
            "install it there, as by `apt-get install {}`",
        ),
        ([python, "-c", _MODULES], of_kind[_PYTHON], "{python} -m pip install {}  # there"),
        (["perl", "-e", _PERL_MODULES], of_kind[_PERL], "install it there, as by `cpan {}`"),
    ):
        missing = remote.run([*argv, *names]).decode().split() if names else []
        if missing:
            cure = f"{install}  # there" if install else usual.replace("{}", " ".join(missing))
            raise NotFit(
                f"{by} needs {', '.join(missing)}, which isn't there",
                where=f"machine {remote.name}",
                cure=cure.replace("{python}", shlex.quote(python)),
            )
