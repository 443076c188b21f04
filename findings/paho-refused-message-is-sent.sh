#!/bin/sh
# Guess:   `publish` that returns "The client is not currently connected" has not taken the
#          message: whoever publishes it again until the result is 0 sends it once.
# Happens: true with QoS 0. With QoS 1 (at least once) each refused message is kept and sent after
#          the connection: three refusals and one success are four messages, and no number of the
#          protocol says that they are the same one.
# Source:  paho-mqtt 2.2.0: `publish` stores a message of QoS 1 and 2 before it looks for the
#          connection; measured.
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"; python3 -m venv venv
venv/bin/pip install --quiet paho-mqtt==2.2.0 amqtt==0.12.1  # the latter for a broker
venv/bin/python - <<'PYTHON'
import asyncio
import queue
import socket
import threading

import paho.mqtt
from amqtt.broker import Broker
from paho.mqtt.client import CallbackAPIVersion, Client, error_string

with socket.create_server(("127.0.0.1", 0)) as free:
    address = free.getsockname()


async def start_broker():
    await Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": "%s:%d" % address}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    ).start()


def connect(client):
    """Connect, and serve the client in a thread of its own."""
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect(*address)
    client.loop_start()
    assert connected.wait(10)


def copies_of_a_refused_message(qos):
    """Publish a message three times without a connection, then once with it; return the results
    of the three, and how many messages came."""
    client = Client(CallbackAPIVersion.VERSION2)
    results = [error_string(client.publish("work", "7", qos=qos).rc) for _ in range(3)]
    connect(client)
    assert client.publish("work", "7", qos=qos).rc == 0
    client.publish("work", "end", qos=1)
    count = 0
    while came.get(timeout=10) != "end":
        count += 1
    client.disconnect()
    client.loop_stop()
    return results, count


loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(start_broker(), loop).result(10)
came = queue.Queue()
subscribed = threading.Event()
receiver = Client(CallbackAPIVersion.VERSION2)
receiver.on_message = lambda _client, _data, message: came.put(message.payload.decode())
receiver.on_subscribe = lambda *_: subscribed.set()
connect(receiver)
receiver.subscribe("work", qos=1)
assert subscribed.wait(10)
print("paho-mqtt", paho.mqtt.__version__)
for qos, expected in ((0, 1), (1, 4)):
    results, count = copies_of_a_refused_message(qos)
    print(f"QoS {qos}: three times {results[0]!r}, once accepted; messages that came: {count}")
    assert set(results) == {"The client is not currently connected."} and count == expected
PYTHON
