"""A tube of jobs that workers share; it outlives lost connections."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import greenstalk

_RETRY_S = 0.1


class Tube:
    """What both programs do with it. A broker that is away is tried again, for ever."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._place = (host, int(port))
        self._client: Any = None
        self.version = str(self._persist(lambda client: client.stats())["version"])

    def put(self, text: str) -> None:
        """Return when the broker has taken a job."""
        self._persist(lambda client: client.put(text))

    def reserve(self) -> Any:
        """Wait for a job; it is ours for 60 s, while we are connected."""
        return self._persist(lambda client: client.reserve())

    def done(self, job: Any) -> None:
        """Delete a job that is done."""
        # It may be ours no more; then somebody does it again.
        with contextlib.suppress(OSError, greenstalk.NotFoundError):
            self._client.delete(job)

    def _persist(self, call: Callable[[Any], Any]) -> Any:
        while True:
            try:
                self._client = self._client or greenstalk.Client(self._place)
                return call(self._client)
            except OSError:
                self._client = None
                time.sleep(_RETRY_S)
