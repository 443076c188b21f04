#!/bin/sh
# Guess:   `await connection.run(command, check=True)` that returns means that the command ended with
#          status 0. If the connection is lost before, the call raises ConnectionLost.
# Happens: AsyncSSH 2.24.1 returns as after a success, with the part of the output that came: no
#          error, no warning. Only `exit_status` is None then. `readline` on the same output raises
#          ConnectionLost.
# Source:  asyncssh/process.py: `wait` (line 1596) looks for `check and self.exit_status`, and None is
#          false; `_collect_output` (line 1258) leaves out the exception at the end of the output.
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"; python3 -m venv venv; venv/bin/pip install --quiet asyncssh==2.24.1
cat >server.py <<'PYTHON'
import asyncio

import asyncssh


class Door(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False  # nobody has to log in


async def work(process):
    process.stdout.write("got 0\n")
    if process.command == "fail":
        process.exit(3)
    else:
        await asyncio.Event().wait()  # never ends by itself


async def serve():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Door, "127.0.0.1", 0, server_host_keys=[key], process_factory=work
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.wait_closed()


asyncio.run(serve())
PYTHON
venv/bin/python - <<'PYTHON'
import asyncio
import subprocess
import sys

import asyncssh


async def with_server(use):
    """Return what `use` makes of a connection and of the process that serves it."""
    server = subprocess.Popen([sys.executable, "server.py"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        async with asyncssh.connect("127.0.0.1", port, known_hosts=None) as connection:
            return await use(connection, server)
    finally:
        server.kill()
        server.wait()


async def fails(connection, server):
    try:
        await connection.run("fail", check=True)
    except asyncssh.ProcessError as error:
        return f"ProcessError, status {error.exit_status}"


async def is_lost(connection, server):
    """Run a command that never ends, and kill the server when its output has begun."""
    asyncio.get_running_loop().call_later(1, server.kill)
    result = await connection.run("work", check=True)
    return f"returned, status {result.exit_status}, output {result.stdout!r}"


async def is_read(connection, server):
    """The same by hand."""
    process = await connection.create_process("work")
    await process.stdout.readline()
    server.kill()
    try:
        await process.stdout.readline()
    except asyncssh.ConnectionLost as error:
        return f"ConnectionLost: {error}"


print("asyncssh", asyncssh.__version__)
seen = [asyncio.run(with_server(use)) for use in (fails, is_lost, is_read)]
print("run, check=True, the command fails:         ", seen[0])
print("run, check=True, the server is killed:      ", seen[1])
print("a line is read, and the server is killed:   ", seen[2])
assert seen[0] == "ProcessError, status 3"
assert seen[1] == "returned, status None, output 'got 0\\n'"
assert seen[2].startswith("ConnectionLost")
PYTHON
