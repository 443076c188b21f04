"""Explains refusals of the operating system, such as a full disk, which are not bugs of the lab."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from pushpull.core import limits
from pushpull.core.errors import LabError, RunStoreError

_OTHER = "name another folder with --runs DIR."
_FILE_HINTS = {
    f"Free some space, or {_OTHER} What was captured is kept.": {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
    },
    f"Get permission to write there, or {_OTHER}": {errno.EROFS, errno.EACCES, errno.EPERM},
    f"Move away whatever has that name, or {_OTHER}": {
        errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY,
    },
    f"It supports no locks (is it a network share?): {_OTHER}": {
        errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF,
    },
    "Was the folder moved or removed meanwhile?": {errno.ENOENT},
}  # fmt: skip
_REFUSALS = {
    errno.EACCES: "name a folder of your own, or correct the permissions",
    errno.EPERM: "name a folder of your own, or correct the permissions",
    errno.EROFS: "name a writable folder, for example with --runs",
    errno.ENOTDIR: "correct the path: a part of it is not a folder",
    errno.ELOOP: "correct the path: its links form a loop",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there: your quota is used up",
    errno.ENOMEM: "raise the limit (ulimit -v), or close other programs",
    errno.EAGAIN: "raise the limit of processes (ulimit -u), or close other programs",
}


@contextlib.contextmanager
def file_errors(path: Path, verb: str = "write") -> Iterator[None]:
    """Turn the operating system's refusals into a RunStoreError with the path and a hint."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        hint = next((hint for hint, codes in _FILE_HINTS.items() if error.errno in codes), "")
        what = f"Cannot {verb} this: {error.strerror}."
        raise RunStoreError(what, where=str(path), hint=hint) from error


def diagnose(error: BaseException) -> LabError | None:
    """Return the LabError for a failure of this computer, None for any other exception."""
    if too_many := limits.too_many_files(getattr(error, "errno", None)):
        return too_many
    if isinstance(error, MemoryError) or _lacks_memory(error):
        hint = _REFUSALS[errno.ENOMEM]
        return LabError("there is not enough memory", where="this computer", hint=hint)
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        place = str(error.filename) if error.filename else "this computer"
        return LabError(error.strerror or "refused", where=place, hint=_REFUSALS[error.errno])
    return None


def _lacks_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # The interpreter says the last one if it lacks memory for the error itself.
    words = (
        "failed to map segment",
        "cannot allocate memory",
        "can't start new thread",
        "error return without exception set",
    )
    text = str(error).lower()
    return isinstance(error, ImportError | RuntimeError | SystemError) and any(
        word in text for word in words
    )
