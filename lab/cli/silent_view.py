"""A view that shows nothing of a single run, for many of them."""

from collections.abc import Sequence

from pushpull.core.records import Event, Record


class Silent:
    """Shows nothing of a run."""

    def __init__(self, machines: Sequence[str]) -> None: ...

    def experiment(self, name: str, summary: str, seconds: float) -> None: ...

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...

    def close(self) -> None: ...
