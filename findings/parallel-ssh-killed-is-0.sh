#!/bin/sh
# Guess:   the exit code of a remote command that a signal killed is not 0.
# Happens: it is 0 with the default client of parallel-ssh 2.16.0.post1, as after a success, and also
#          for a command whose channel was closed without any status. With the package's other
#          client, pssh.clients.ssh, both are -1.
# Source:  pssh/clients/native/single.py, get_exit_status (line 808), returns what libssh2 has stored.
#          That is 0 until an "exit-status" arrives; for a killed command the server sends
#          "exit-signal" instead (RFC 4254, section 6.10).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"; python3 -m venv venv
venv/bin/pip install --quiet parallel-ssh==2.16.0.post1 asyncssh==2.24.1  # the latter for a server
cat >client.py <<'PYTHON'
import importlib
import sys

port, client = sys.argv[1:]
module = importlib.import_module(f"pssh.clients.{client}")
for command in ("succeed", "fail", "be killed", "be closed"):
    machines = module.ParallelSSHClient(
        ["127.0.0.1"], port=int(port), user="somebody", password="any", allow_agent=False
    )
    output = machines.run_command(command)
    machines.join(output)
    print(f"{command}: {output[0].exit_code}", flush=True)
PYTHON
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import sys

import asyncssh


class Door(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True


async def work(process):
    match process.command:
        case "succeed":
            process.exit(0)
        case "fail":
            process.exit(3)
        case "be killed":
            process.exit_with_signal("KILL")
        case "be closed":
            process.close()


async def exit_codes(client, port):
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "client.py", str(port), client, stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await asked.communicate()
    return dict(line.split(": ") for line in answer.decode().splitlines())


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Door, "127.0.0.1", 0, server_host_keys=[key], process_factory=work
    )
    port = server.sockets[0].getsockname()[1]
    return {client: await exit_codes(client, port) for client in ("native", "ssh")}


seen = asyncio.run(main())
print("parallel-ssh", importlib.metadata.version("parallel-ssh"))
for client, codes in seen.items():
    print(f"pssh.clients.{client}: {codes}")
both = {"succeed": "0", "fail": "3"}
assert seen["native"] == {**both, "be killed": "0", "be closed": "0"}
assert seen["ssh"] == {**both, "be killed": "-1", "be closed": "-1"}
PYTHON
