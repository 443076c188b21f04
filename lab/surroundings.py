"""What this computer refuses: no memory, no room, no right. Not a bug of the lab's."""

import errno

from lab.errors import LabError

_REFUSALS = {
    errno.EACCES: "name a folder of your own, or correct the permissions",
    errno.EPERM: "name a folder of your own, or correct the permissions",
    errno.EROFS: "name a folder that can be written to, as by --runs",
    errno.ENOTDIR: "correct the path: something in it is no folder",
    errno.ELOOP: "correct the path: its links lead in a circle",
    errno.ENAMETOOLONG: "take a shorter name",
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there: your quota is used up",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
    errno.ENFILE: "close other programs: the system has no file descriptors left",
    errno.ENOMEM: "raise the limit (ulimit -v), or close other programs",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or close other programs",
}


def explained(error: BaseException) -> LabError | None:
    """Return the user's message for an error of their computer's, None for any other."""
    if isinstance(error, MemoryError) or _lacks_memory(error):
        cure = _REFUSALS[errno.ENOMEM]
        return LabError("there is not enough memory", where="this computer", cure=cure)
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        place = str(error.filename) if error.filename else "this computer"
        return LabError(error.strerror or "refused", where=place, cure=_REFUSALS[error.errno])
    return None


def _lacks_memory(error: BaseException) -> bool:
    # The last is what the interpreter comes to when it lacks memory for the error itself.
    words = (
        "failed to map segment",
        "cannot allocate memory",
        "can't start new thread",
        "error return without exception set",
    )
    told = str(error).lower()
    return isinstance(error, ImportError | RuntimeError | SystemError) and any(
        word in told for word in words
    )
