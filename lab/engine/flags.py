"""The words with which a program is called: its flags, then its other arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.core.errors import LabError


def words(flags: Mapping[str, Any], arguments: Sequence[Any] = ()) -> list[str]:
    """Return flags and then arguments as the words of a command.

    A flag's name has dashes for its underscores, which a Python name must have in their place. Its
    value follows; of True the name stands alone, of False and None there is nothing, and of a list
    each value has the name before it.

    Raises:
        LabError: the arguments are no list, or no system takes such a word.
    """
    if isinstance(arguments, str | bytes) or not isinstance(arguments, Sequence):
        raise LabError(f"args={arguments!r} is no list", hint="put it into brackets: args=[...]")
    found = [
        word
        for name, value in flags.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        for word in _flag(f"--{name.replace('_', '-')}", one)
    ]
    found += [str(argument) for argument in arguments]
    if bad := [word for word in found if "\0" in word]:
        raise LabError(f"{bad[0]!r} can't be given to a program", hint="leave the NUL out of it")
    return found


def _flag(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    return [name] if value is True else [name, str(value)]
