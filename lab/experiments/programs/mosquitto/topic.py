"""A topic whose messages go to one of several workers; it outlives lost connections."""

import threading
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import (  # type: ignore[import-untyped]
    MQTT_ERR_SUCCESS,
    CallbackAPIVersion,
    Client,
    MQTTv5,
)
from paho.mqtt.packettypes import PacketTypes  # type: ignore[import-untyped]
from paho.mqtt.properties import Properties  # type: ignore[import-untyped]

_TOPIC, _SHARED = "messages", "$share/workers/messages"
_AT_LEAST_ONCE = 1
_NO_SUBSCRIBER = 0x10  # a PUBACK that says: nobody got it
_FOR_EVER_S = 0xFFFFFFFF
_PROBE = ""  # is sent until there is a worker, which passes it over
_RETRY_S = 0.1
_WRITTEN_S = 1.0


class Topic:
    """What both programs do with it. A broker that is away is tried again, for ever.

    Arguments:
        address: where the broker is.
        work: what is done with each message, which is acknowledged after that; None to send.
        qos: with 0 nothing is acknowledged.
        session: its name, if it outlives the connection.
        keepalive: seconds; the broker ends a connection that is silent for half as long again.
    """

    def __init__(
        self,
        address: str,
        work: Callable[[str], None] | None = None,
        *,
        qos: int = _AT_LEAST_ONCE,
        session: str = "",
        keepalive: int = 60,
    ) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._news = threading.Condition()
        self._answers: dict[int, int] = {}
        self._is_ready = self._has_workers = False
        self._work = work
        self._qos = qos
        self._client = Client(CallbackAPIVersion.VERSION2, session, protocol=MQTTv5)
        self._client.reconnect_delay_set(_RETRY_S, _RETRY_S)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._note(ready=True)
        self._client.on_publish = lambda _, __, mid, reason, ___: self._note(mid, reason.value)
        self._client.on_message = lambda _, __, message: self._do(message.payload.decode())
        kept = Properties(PacketTypes.CONNECT)
        kept.SessionExpiryInterval = _FOR_EVER_S if session else 0
        self._client.connect_async(
            host, int(port), keepalive, clean_start=not session, properties=kept
        )
        self._client.loop_start()
        with self._news:
            self._news.wait_for(lambda: self._is_ready)

    def publish(self, text: str) -> None:
        """Return when the broker has acknowledged a message, and has somebody for it.

        Without acknowledgements, only before the first is it made sure that there is somebody.
        """
        if self._qos == _AT_LEAST_ONCE:
            self._publish(text)
            return
        if not self._has_workers:
            self._publish(_PROBE)
            self._has_workers = True
        while (sent := self._client.publish(_TOPIC, text, qos=0)).rc != MQTT_ERR_SUCCESS:
            time.sleep(_RETRY_S)
        sent.wait_for_publish(_WRITTEN_S)  # a connection that is lost meanwhile takes it along

    def _publish(self, text: str) -> None:
        reason = _NO_SUBSCRIBER
        while reason == _NO_SUBSCRIBER:
            mid = self._client.publish(_TOPIC, text, qos=_AT_LEAST_ONCE).mid
            with self._news:
                while mid not in self._answers:
                    self._news.wait()
                reason = self._answers.pop(mid)
            if reason == _NO_SUBSCRIBER:
                time.sleep(_RETRY_S)

    def _connected(self, *_: Any) -> None:
        if self._work is None:
            self._note(ready=True)
        else:
            self._client.subscribe(_SHARED, qos=self._qos)

    def _do(self, text: str) -> None:
        if self._work is not None and text != _PROBE:
            self._work(text)

    def _note(self, mid: int = 0, reason: int = 0, *, ready: bool = False) -> None:
        with self._news:
            self._is_ready = self._is_ready or ready
            if mid:
                self._answers[mid] = reason
            self._news.notify_all()
