"""What may stand in an inventory file, as pydantic models; each key's description is a cure."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Keys = tuple[str, ...]  # the keys that lead to a value: ("machines", "host-1", "role")

MAX_MACHINES = 10_000
NAME = r"[a-z][a-z0-9-]{0,62}"


def _is_address(text: str) -> str:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError("write an IPv4 address, such as 192.168.0.161") from None
    return text


def _is_network(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError("write an IPv4 network, such as 192.168.0.0/24") from None
    if str(network) != text:
        raise ValueError(f"write {network}")
    if not 8 <= network.prefixlen <= 30:
        raise ValueError("write a network from /8 to /30, such as 192.168.0.0/24")
    if network.is_loopback or network.is_multicast or network.is_reserved:
        raise ValueError("write a network that machines can have, such as 192.168.0.0/24")
    return text


def _is_local_path(text: str) -> str:
    try:
        Path(text).expanduser()
    except RuntimeError:
        raise ValueError("there is no such user here; write the whole path") from None
    return text


# A value that isn't given stays absent: the defaults are those of lab/inventory.py alone.
_ABSENT: Any = None


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


_Text = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f-][^\x00-\x1f\x7f]*$", max_length=1024)]
_Path = Annotated[_Text, AfterValidator(_is_local_path)]


class _Ssh(_Model):
    port: int = Field(_ABSENT, ge=1, le=65535, description="a number from 1 to 65535")
    user: str = Field(
        _ABSENT, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*$", description="a user's name"
    )
    key: _Path = Field(_ABSENT, description="the path of a private key")
    known_hosts: _Path = Field(_ABSENT, description="the path of a known_hosts file")
    python: _Text = Field(_ABSENT, description="the path of Python on the machine")


class _MachineSsh(_Ssh):
    host: str = Field(
        _ABSENT,
        pattern=r"^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$",
        description="a host name or an address",
    )


class _Machine(_Model):
    role: str = Field(pattern=rf"^{NAME}$", description="a word of a-z, 0-9 and -, such as worker")
    address: Annotated[str, AfterValidator(_is_address)] = Field(
        description="an IPv4 address, such as 192.168.0.161"
    )
    count: int = Field(
        _ABSENT, ge=1, le=MAX_MACHINES, description=f"a number from 1 to {MAX_MACHINES}"
    )
    ssh: _MachineSsh = Field(_ABSENT, description="settings, such as {host: 10.0.0.7, user: lab}")


class _Vagrant(_Model):
    box: _Text = Field(_ABSENT, description="the name of a box, such as bento/ubuntu-24.04")
    box_version: _Text = Field(_ABSENT, description='a version of the box, such as "202508.03.0"')
    memory: int = Field(
        _ABSENT, ge=256, le=1 << 20, description="a number of MiB from 256 to 1048576, such as 512"
    )
    cpus: int = Field(_ABSENT, ge=1, le=256, description="a number from 1 to 256")


class _Providers(_Model):
    vagrant: _Vagrant = Field(_ABSENT, description="settings, such as {memory: 512}")
    ssh: _Ssh = Field(_ABSENT, description="settings, such as {user: lab}")


class File(_Model):
    network: Annotated[str, AfterValidator(_is_network)] = Field(
        description="an IPv4 network, such as 192.168.0.0/24"
    )
    machines: dict[str, _Machine] = Field(
        min_length=1,
        description="machines, such as host-1: {role: worker, address: 192.168.0.161}",
    )
    providers: _Providers = Field(_ABSENT, description="settings, such as ssh: {user: lab}")


_MODELS: dict[Keys, type[_Model]] = {
    (): File,
    ("machines", "*"): _Machine,
    ("machines", "*", "ssh"): _MachineSsh,
    ("providers",): _Providers,
    ("providers", "vagrant"): _Vagrant,
    ("providers", "ssh"): _Ssh,
}


def known_keys(keys: Keys) -> list[str] | None:
    """Return what may stand in the mapping at `keys`, None if its keys are free."""
    model = _model(keys)
    return list(model.model_fields) if model else None


def _model(keys: Keys) -> type[_Model] | None:
    if len(keys) > 1 and keys[0] == "machines":
        keys = ("machines", "*", *keys[2:])
    return _MODELS.get(keys)


def description(keys: Keys) -> str:
    """Return what to write at `keys`: the end of a sentence that begins with "write"."""
    model = _model(keys[:-1])
    field = model.model_fields.get(keys[-1]) if model else None
    return (field and field.description) or "{role: worker, address: 192.168.0.161}"
