"""Lines as the capture passes them on, made of what a program is said to have printed."""

from collections.abc import Iterable

from pushpull.runs.lines import Lines, LineSplitter

PULL = ("pull-1", "pull")


def captured(
    data: bytes | Iterable[str],
    place: tuple[str, str] = PULL,
    stream: str = "stdout",
    *,
    n: int = 0,
    t: float = 0.0,
) -> Lines:
    """Return the lines of a chunk, none of which is over 64 KiB."""
    if not isinstance(data, bytes):
        data = "".join(f"{text}\n" for text in data).encode(errors="surrogatepass")
    splitter = LineSplitter()
    (piece,) = splitter.feed(data) or splitter.close()
    return Lines((*place, stream), n, t, piece)
