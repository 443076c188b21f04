"""A Redis stream whose messages a group of workers shares; it outlives lost connections."""

import os
import time

from redis import Redis, exceptions
from redis.backoff import ConstantBackoff
from redis.retry import Retry

_STREAM, _GROUP, _TEXT = "messages", "workers", b"text"
_RETRY_S = 0.1


class Stream:
    """What both programs do with it. A broker that is away is tried again, for ever."""

    def __init__(self, address: str, *, confirm: bool = True) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        away = (exceptions.ConnectionError, exceptions.TimeoutError)  # or reading its file
        again = Retry(ConstantBackoff(_RETRY_S), retries=-1, supported_errors=away)
        self._redis = Redis(host, int(port), retry=again, socket_timeout=None)
        self._confirm = confirm
        self._worker = f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}"
        self.version = self._redis.info("server")["redis_version"]
        self._make_group()

    def add(self, text: str) -> None:
        """Return when the broker has acknowledged a message."""
        self._redis.xadd(_STREAM, {_TEXT: text})

    def next(self) -> tuple[bytes, str]:
        """Wait for a message that no other worker has been given; return its id and its text."""
        while True:
            try:
                found = self._redis.xreadgroup(
                    _GROUP, self._worker, {_STREAM: ">"}, 1, 0, noack=not self._confirm
                )
            except exceptions.ResponseError:  # the broker came back without its group
                self._make_group()
                continue
            if found:
                entries = dict(found)[_STREAM.encode()]
                number, fields = entries[0]
                return number, fields[_TEXT].decode()

    def done(self, number: bytes) -> None:
        """Acknowledge that the work on a message is done."""
        if self._confirm:
            self._redis.xack(_STREAM, _GROUP, number)

    def _make_group(self) -> None:
        try:
            self._redis.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
        except exceptions.ResponseError as error:
            if "BUSYGROUP" not in str(error):  # another has made it
                raise
