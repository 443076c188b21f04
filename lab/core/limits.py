"""The limit on open files of a process (ulimit -n): checks it, and raises it for large labs.

Each process has a soft limit, which it may raise itself up to its hard limit. Many shells start
with 1,024; a lab of hundreds of machines needs more.
"""

import errno
import resource
import sys

from pushpull.core.errors import LabError

# Per machine, a supervisor has a listening socket, two to its server, and two for a connection.
_LEAST, _LEAST_EACH = 24, 5
_AMPLE, _AMPLE_EACH = 128, 16
_PROGRAMS_LEAST = 1024
# Some programs close every possible descriptor, one by one. With the 10^9 that Docker allows, that
# takes minutes.
_PROGRAMS_MOST = 65_536


def require(machines: int) -> None:
    """Raise LabError if our hard limit is too low for a run on so many machines."""
    least = _LEAST + _LEAST_EACH * machines
    hard = _limits()[1]
    if hard < least:
        raise _too_few(f"{machines} machines need {least} of them")


def allow(machines: int) -> int:
    """Raise our soft limit for so many machines; return the limit for programs.

    That is the previous one, but neither so low that programs fail nor so high that they hang.
    """
    soft, hard = _limits()
    set_open_files(max(soft, _AMPLE + _AMPLE_EACH * machines))
    return min(max(soft, _PROGRAMS_LEAST), _PROGRAMS_MOST, hard)


def set_open_files(limit: int) -> None:
    """Set our soft limit, but not above the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, _limits()[1]), hard))


def too_many_files(number: int | None) -> LabError | None:
    """Return the error for an errno that means too many open files, None for any other errno."""
    if number == errno.EMFILE:
        return _too_few("this lab needs more")
    if number == errno.ENFILE:
        return LabError(
            "the processes of this computer have too many files open",
            hint="end some, or raise the limit:  sudo sysctl -w fs.file-max=1000000",
        )
    return None


def _too_few(need: str) -> LabError:
    hard = _limits()[1]
    return LabError(
        f"too many open files: the limit is {hard} (`ulimit -Hn`), and {need}",
        hint="raise it in this shell, as root:  ulimit -n 16384  (permanently: `nofile` in"
        " /etc/security/limits.conf, LimitNOFILE= of a service, --ulimit nofile= of a container);"
        " or use fewer machines",
    )


def _limits() -> tuple[int, int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft, sys.maxsize if hard == resource.RLIM_INFINITY else hard
