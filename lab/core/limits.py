"""How many files a process may have open (ulimit -n): what a lab needs, and what to do about it.

Each process has a soft limit, which it may raise itself, up to its hard limit. Many a shell starts
with 1,024; a lab of hundreds of machines needs more.
"""

import errno
import resource
import sys

from lab.core.errors import LabError

# A supervisor has for each machine a listening socket, two to its server, two for a connection.
_LEAST, _LEAST_EACH = 24, 5
_AMPLE, _AMPLE_EACH = 128, 16
_PROGRAMS_LEAST = 1024
# Some programs close every descriptor that they could have, one by one: with the 10^9 that Docker
# allows that takes minutes.
_PROGRAMS_MOST = 65_536


def require(machines: int) -> None:
    """Raise LabError if our hard limit is too low for a run on so many machines."""
    least = _LEAST + _LEAST_EACH * machines
    hard = _limits()[1]
    if hard < least:
        raise _too_few(f"{machines} machines need {least} of them")


def allow(machines: int) -> int:
    """Raise our soft limit for so many machines; return the one for programs.

    That is what it was before, but neither so low that programs fail nor so high that they hang.
    """
    soft, hard = _limits()
    set_open_files(max(soft, _AMPLE + _AMPLE_EACH * machines))
    return min(max(soft, _PROGRAMS_LEAST), _PROGRAMS_MOST, hard)


def set_open_files(limit: int) -> None:
    """Set our soft limit, to the hard one if that is lower."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, _limits()[1]), hard))


def too_many_files(number: int | None) -> LabError | None:
    """Return the user's message for an errno that says that too many files are open, else None."""
    if number == errno.EMFILE:
        return _too_few("this lab needs more")
    if number == errno.ENFILE:
        return LabError(
            "this computer has too many files open, all processes together",
            hint="end some, or raise the limit:  sudo sysctl -w fs.file-max=1000000",
        )
    return None


def _too_few(need: str) -> LabError:
    hard = _limits()[1]
    return LabError(
        f"too many open files: the limit is {hard} (`ulimit -Hn`), and {need}",
        hint="raise it in this shell, as root:  ulimit -n 16384  (for good: `nofile` in"
        " /etc/security/limits.conf, LimitNOFILE= of a service, --ulimit nofile= of a container);"
        " or take fewer machines",
    )


def _limits() -> tuple[int, int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft, sys.maxsize if hard == resource.RLIM_INFINITY else hard
