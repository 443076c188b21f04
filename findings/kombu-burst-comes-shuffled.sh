#!/bin/sh
# Guess:   one sender, one queue, one receiver: messages come in the order in which they were put.
# Happens: with the file system transport of Kombu 5.7.0 (a broker for Celery that needs no server)
#          a burst comes shuffled: messages of the same millisecond come in a random order. The
#          memory transport keeps the order.
# Source:  kombu/transport/filesystem.py: a message is a file named after the millisecond and a
#          random UUID (`_put`, line 264), and `_get` goes by the sorted names (line 285).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"; python3 -m venv venv; venv/bin/pip install --quiet kombu==5.7.0
mkdir messages
venv/bin/python - <<'PYTHON'
import kombu

COUNT = 200


def order(address, **options):
    """Put numbers as fast as possible, then return them as they come."""
    with kombu.Connection(address, transport_options=options) as connection:
        queue = connection.SimpleQueue("work")
        for number in range(COUNT):
            queue.put(number)
        messages = [queue.get(timeout=10) for _ in range(COUNT)]
        for message in messages:
            message.ack()
        return [message.payload for message in messages]


print("kombu", kombu.__version__)
memory = order("memory://")
files = order("filesystem://", data_folder_in="messages", data_folder_out="messages")
overtaken = sum(later < earlier for earlier, later in zip(files, files[1:]))
print("memory:     ", *memory[:20], "...")
print("file system:", *files[:20], "...")
print(f"of {COUNT} messages {overtaken} came right after one that was put later")
assert memory == sorted(memory)
assert sorted(files) == sorted(memory) and overtaken > 0
PYTHON
