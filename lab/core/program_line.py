"""A line of a program's output, as a scenario names it: by its number or by its text."""

import re
from dataclasses import dataclass

from pushpull.core.errors import LabError
from pushpull.core.records import Record

Line = int | str | re.Pattern[str]


@dataclass(frozen=True, slots=True)
class ProgramLine:
    """The line at which a program is to stand.

    Attributes:
        number: its number, the first is 1; 0 if its text is what matters.
        start: what it begins with; empty if the pattern is what matters.
        pattern: what is found in it.
    """

    number: int = 0
    start: str = ""
    pattern: re.Pattern[str] = re.compile("")

    @classmethod
    def of(cls, line: Line) -> "ProgramLine":
        """Return the line that a scenario means; LabError if there can't be such a line."""
        match line:
            case bool():
                pass
            case int() if line > 0:
                return cls(number=line)
            case str() if line and "\n" not in line:
                return cls(start=line)
            case re.Pattern() if isinstance(line.pattern, str):
                return cls(pattern=line)
        raise LabError(
            f"{line!r} names no line",
            hint="give its number (the first is 1), what it begins with, or a re.compile(...)",
        )

    def is_found_in(self, record: Record) -> bool:
        """Return whether a record is this line."""
        if self.number:
            return record.n + 1 == self.number
        text = record.shown
        return text is not None and text.startswith(self.start) and bool(self.pattern.search(text))

    @property
    def order(self) -> str:
        """The order for the line holder on a machine."""
        if self.number:
            return f"count {self.number}"
        if self.start:
            return f"start {self.start}"
        flags = "(?i)" if self.pattern.flags & re.IGNORECASE else ""
        return f"search {flags}{self.pattern.pattern}"
