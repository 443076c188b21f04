"""Finds messages that programs printed where nobody reads them."""

import contextlib
from collections.abc import Iterable
from dataclasses import replace

from pushpull.core.records import Reader, Record


def unread(records: Iterable[Record], reads: Reader) -> str:
    """Return a sentence if messages were printed only on stderr; else an empty text.

    Messages must be lines on stdout, but Python's logging, for example, writes to stderr.
    """
    places: dict[str, int] = {}
    for record in records:
        with contextlib.suppress(Exception):  # the experiment's own code, on unsuitable lines
            if reads(record) is not None:
                return ""
            if record.stream == "stderr" and reads(replace(record, stream="stdout")) is not None:
                place = f"{record.process} on {record.machine}"
                places[place] = places.get(place, 0) + 1
    if not places:
        return ""
    found = ", ".join(f"{place} ({number})" for place, number in places.items())
    return f"No message was seen. Lines on stderr look like messages but belong on stdout: {found}."
