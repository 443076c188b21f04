"""What other SSH clients need to reach the machines of a lab: their keys and settings in files."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pushpull.machines.providers.base import Access


@dataclass(frozen=True, slots=True)
class SSHFiles:
    """The client's key; for OpenSSH an ssh_config with each machine's name; ducktape's cluster."""

    key: Path
    config: Path
    cluster: Path


@contextlib.contextmanager
def written(machines: Mapping[str, Access]) -> Iterator[SSHFiles]:
    """Write the files for machines that share one client key; remove them at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)  # only its owner can read it
        files = SSHFiles(folder / "key", folder / "config", folder / "cluster.json")
        files.key.touch(mode=0o600)
        files.key.write_text(next(iter(machines.values())).key or "")
        known = folder / "known_hosts"
        known.write_text(
            "".join(f"[{one.host}]:{one.port} {one.host_key}\n" for one in machines.values())
        )
        settings = [
            f"Host {name}\n  HostName {one.host}\n  Port {one.port}\n  User {one.user}\n"
            for name, one in machines.items()
        ]
        settings += [f"Host *\n  IdentityFile {files.key}\n  UserKnownHostsFile {known}\n"]
        settings += ["  IdentitiesOnly yes\n  BatchMode yes\n  StrictHostKeyChecking yes\n"]
        files.config.write_text("".join(settings))
        nodes = [
            {
                "externally_routable_ip": one.address,
                "ssh_config": {
                    "host": name,
                    "hostname": one.host,
                    "port": one.port,
                    "user": one.user,
                    "identityfile": str(files.key),
                },
            }
            for name, one in machines.items()
        ]
        files.cluster.write_text(json.dumps({"nodes": nodes}))
        yield files
