"""The command-line arguments of a program: its flags, then its other arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

from pushpull.core.errors import LabError


def words(flags: Mapping[str, Any], arguments: Sequence[Any] = ()) -> list[str]:
    """Return flags and then arguments as the words of a command.

    Underscores in a flag's name become dashes. Its value follows; True gives the name alone, False
    and None give nothing, and a list gives the name before each value.

    Raises:
        LabError: the arguments are not a list, or contain a word that no system accepts.
    """
    if isinstance(arguments, str | bytes) or not isinstance(arguments, Sequence):
        raise LabError(f"args={arguments!r} is not a list", hint="use brackets: args=[...]")
    found = [
        word
        for name, value in flags.items()
        for one in (value if isinstance(value, list | tuple) else [value])
        for word in _flag(f"--{name.replace('_', '-')}", one)
    ]
    found += [str(argument) for argument in arguments]
    if bad := [word for word in found if "\0" in word]:
        raise LabError(f"{bad[0]!r} can't be an argument of a program", hint="remove the NUL")
    return found


def _flag(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    return [name] if value is True else [name, str(value)]
