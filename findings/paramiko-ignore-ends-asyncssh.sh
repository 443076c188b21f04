#!/bin/sh
# Guess:   Paramiko's `Transport.send_ignore`, whose purpose is that the other side ignores it (test
#          frameworks send it to keep a connection alive), is ignored by any SSH server.
# Happens: Paramiko 5.1.0 sends the random bytes without the length that RFC 4253, section 11.2, wants
#          before them. OpenSSH does not look. AsyncSSH 2.24.1 does, and mostly ends the connection: the
#          next command on it fails. With the length in front it goes on.
# Source:  paramiko/transport.py, send_ignore; asyncssh/connection.py, _process_ignore.
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/pip" install --quiet paramiko==5.1.0 asyncssh==2.24.1
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import threading

import asyncssh
import paramiko
from paramiko.common import MSG_IGNORE


class Door(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False  # nobody has to log in


async def serve(port, ready):
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Door, "127.0.0.1", 0, server_host_keys=[key],
        process_factory=lambda process: process.exit(0),
    )
    port.append(server.sockets[0].getsockname()[1])
    ready.set()
    await asyncio.Event().wait()


def works_after(ignored):
    transport = paramiko.Transport(("127.0.0.1", port[0]))
    try:
        transport.start_client(timeout=10)
        transport.auth_none("somebody")
        ignored(transport)
        channel = transport.open_session(timeout=10)
        channel.exec_command("true")
        return channel.recv_exit_status() == 0
    except (paramiko.SSHException, EOFError, OSError):
        return False
    finally:
        transport.close()


def with_length(transport):
    message = paramiko.Message()
    message.add_byte(bytes([MSG_IGNORE]))
    message.add_string(b"x" * 20)
    transport._send_user_message(message)


port, ready = [], threading.Event()
threading.Thread(target=lambda: asyncio.run(serve(port, ready)), daemon=True).start()
assert ready.wait(30)
paramikos = [works_after(lambda transport: transport.send_ignore(20)) for _ in range(10)]
print("paramiko", paramiko.__version__, "asyncssh", asyncssh.__version__)
print("a command works after nothing:           ", works_after(lambda transport: None))
print("after send_ignore, as Paramiko sends it: ", paramikos.count(True), "of 10")
print("after the same with its length:          ", works_after(with_length))
assert works_after(lambda transport: None) and works_after(with_length)
assert paramikos.count(True) < 5
PYTHON
