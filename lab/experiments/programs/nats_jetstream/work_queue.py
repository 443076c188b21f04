"""A work queue of JetStream that workers share; it outlives lost connections."""

import asyncio

import nats
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy

_STREAM, _SUBJECT, _WORKERS = "messages", "messages", "workers"
_DELIVERED = "delivered"
_RETRY_S = 0.1
_PATIENCE_S = 5  # with the answer to a request, before it is sent again


class WorkQueue:
    """What both programs do with it. A broker that is away is tried again, for ever."""

    async def open(self, address: str) -> str:
        """Connect and make sure that the queue is there; return the broker's version."""
        self._nats = await nats.connect(
            address.replace("tcp://", "nats://"),
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RETRY_S,
            error_cb=_ignore,  # of connections, which are made again
        )
        self._stream = self._nats.jetstream(timeout=_PATIENCE_S)
        await self._stream.add_stream(
            name=_STREAM, subjects=[_SUBJECT], retention=RetentionPolicy.WORK_QUEUE
        )
        return str(self._nats.connected_server_version)

    async def add(self, text: str) -> None:
        """Return when the broker has acknowledged a message."""
        while True:
            try:
                # One that it has already, but whose acknowledgement was lost, it drops by its id.
                once = {"Nats-Msg-Id": text.strip()}
                await self._stream.publish(_SUBJECT, text.encode(), headers=once)
                return
            except Error:
                await asyncio.sleep(_RETRY_S)

    async def work(self, *, pushed: bool = False) -> None:
        """Share the work with all that do so; messages are fetched one by one, or `pushed`."""
        if pushed:
            shared = ConsumerConfig(
                durable_name=_WORKERS,
                deliver_group=_WORKERS,
                deliver_subject=_DELIVERED,
                ack_policy=AckPolicy.EXPLICIT,
            )
            await self._stream.add_consumer(_STREAM, shared)
            self._inbox = await self._nats.subscribe(_DELIVERED, queue=_WORKERS)
        else:
            self._mine = await self._stream.pull_subscribe(_SUBJECT, durable=_WORKERS)
        self._pushed = pushed

    async def next(self) -> Msg:
        """Wait for a message; it is ours for 30 s."""
        while True:
            try:
                if self._pushed:
                    return await self._inbox.next_msg(timeout=_PATIENCE_S)
                return (await self._mine.fetch(1, timeout=_PATIENCE_S))[0]
            except Error:  # nothing came in that time, or the broker is away
                await asyncio.sleep(0 if self._nats.is_connected else _RETRY_S)

    async def close(self) -> None:
        await self._nats.close()


async def _ignore(_: Exception) -> None: ...
