"""A durable queue of RabbitMQ that workers share; it outlives lost connections."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pika
from pika import exceptions

_QUEUE = "messages"
_RETRY_S = 0.1
_WRITTEN_S = 2.5  # after it was declared: measured, no queue was lost later than 1.4 s after that
_AWAY = (exceptions.AMQPError, OSError)
_Result = TypeVar("_Result")


class Queue:
    """What both programs do with it. A broker that is away is tried again, for ever.

    Arguments:
        address: where the broker is.
        prefetch: how many messages a worker is given before it acknowledges one; 0 is no limit.
        confirm: whether a worker acknowledges; otherwise what is sent to it counts as done.
    """

    def __init__(self, address: str, *, prefetch: int = 1, confirm: bool = True) -> None:
        self._prefetch, self._confirm = prefetch, confirm
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._where = pika.ConnectionParameters(host, int(port))
        self._again(lambda: None)
        self.version = pika.__version__

    def add(self, text: str) -> None:
        """Return when the broker has confirmed a message."""
        kept = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        body = text.encode()
        self._again(lambda: self._channel.basic_publish("", _QUEUE, body, kept))

    def next(self) -> tuple[object, str]:
        """Wait for a message that no other worker has; return what acknowledges it and its text."""

        def take() -> tuple[object, str]:
            method, _, body = next(self._channel.consume(_QUEUE, auto_ack=not self._confirm))
            return (self._channel, method.delivery_tag), body.decode()

        return self._again(take)

    def done(self, key: tuple[object, int]) -> None:
        """Acknowledge that the work on a message is done, if the connection is still its own."""
        channel, tag = key
        if self._confirm and channel is self._channel:
            with suppress(*_AWAY):  # the broker gives it to somebody again
                channel.basic_ack(tag)

    def _again(self, act: Callable[[], _Result]) -> _Result:
        while True:
            try:
                if not hasattr(self, "_connection") or self._connection.is_closed:
                    self._connect()
                return act()
            except _AWAY:
                time.sleep(_RETRY_S)

    def _connect(self) -> None:
        self._connection = pika.BlockingConnection(self._where)
        if not self._is_declared():
            self._connection.channel().queue_declare(_QUEUE, durable=True)
            # A server that is killed earlier may forget it, with all that it has confirmed.
            self._connection.sleep(_WRITTEN_S)
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._channel.basic_qos(prefetch_count=self._prefetch)

    def _is_declared(self) -> bool:
        try:
            self._connection.channel().queue_declare(_QUEUE, passive=True)
        except exceptions.ChannelClosedByBroker:
            return False
        return True
