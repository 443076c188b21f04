#!/bin/sh
# Guess:   "chosen in a round-robin fashion": a worker that joins an idle one has waited longest
#          for a message, and is served next.
# Happens: a worker that was alone for k messages gets k + 1 in a row, whatever the pause between
#          them; only then the turn is strict. The pusher hands out the next message to the
#          connection that became ready first, and the old one was ready before the new one came.
# Source:  measured with pynng 0.9.0; nng_push(7) promises round robin and no more.
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/pip" install --quiet pynng==0.9.0
"$work/venv/bin/python" - <<'PYTHON'
import threading

import pynng


def turn(alone: int) -> str:
    """Return who got each message: A is alone for so many, then B is connected too."""
    got: dict[int, str] = {}
    came = threading.Condition()

    def work(name: str, socket: pynng.Pull0) -> None:
        try:
            while True:
                number = int(socket.recv())
                with came:
                    got[number] = name
                    came.notify()
        except pynng.Closed:
            return

    def send(number: int) -> None:
        push.send(str(number).encode())
        with came:
            assert came.wait_for(lambda: number in got, timeout=10)

    with pynng.Push0(listen="tcp://127.0.0.1:0", send_timeout=10_000) as push:
        joined = threading.Semaphore(0)
        push.add_post_pipe_connect_cb(lambda _: joined.release())
        address = f"tcp://{push.listeners[0].local_address}"
        workers = []
        for name, first, last in (("A", 0, alone), ("B", alone, alone + 6)):
            socket = pynng.Pull0(dial=address)
            workers.append((socket, threading.Thread(target=work, args=(name, socket))))
            workers[-1][1].start()
            assert joined.acquire(timeout=10)
            for number in range(first, last):
                send(number)
        for socket, thread in workers:
            socket.close()
            thread.join()
    return "".join(got[number] for number in sorted(got))


print("pynng", pynng.__version__)
for alone in (1, 2, 3):
    seen = turn(alone)
    print(f"A alone for {alone}: {seen}")
    assert seen.startswith("A" * (alone + 1) + "BAB")
PYTHON
