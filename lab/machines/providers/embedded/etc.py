"""The /etc that machines in namespaces see: what programs need to run, and no secrets.

The computer's /etc has password hashes, host keys and tokens, which a program as root could read.
"""

import contextlib
import os
from pathlib import Path

from pushpull.machines.providers.embedded import kernel

# For Debian and Ubuntu, Fedora, Arch and SUSE; only public certificates.
_NEEDED = (
    *("bash.bashrc", "bashrc", "inputrc", "profile", "profile.d", "shells", "terminfo"),
    *("group", "passwd", "nsswitch.conf", "host.conf", "gai.conf", "networks"),
    *("ethertypes", "iproute2", "protocols", "rpc", "services", "xattr.conf"),
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives"),
    *("locale.alias", "locale.conf", "localtime", "timezone"),
    *("debian_version", "lsb-release", "os-release", "redhat-release"),
    *("magic", "magic.mime", "mime.types", "fonts"),
    *("crypto-policies", "ca-certificates", "ca-certificates.conf", "pki/ca-trust"),
    *("pki/tls/certs", "ssl/certs", "ssl/openssl.cnf"),
    *("java", "java-*", "perl", "perl5", "php", "python3*", "ruby*", "dotnet", "mono", "erlang"),
)


def replace(hosts: str) -> None:
    """Mount an /etc with only the needed files, in the caller's mount namespace.

    Its folders are the computer's own; the caller must make them read-only before a program sees
    them. Files are copied once, so that a single mount serves each guest. `hosts` is the content
    of /etc/hosts.
    """
    etc = Path("/etc")
    found = [path for pattern in _NEEDED for path in etc.glob(pattern)]
    links = {path: path.readlink() for path in found if path.is_symlink()}
    folders = {
        path: os.open(path, os.O_PATH) for path in found if path.is_dir() and path not in links
    }
    texts = {}
    for path in found:
        if path not in links and path.is_file():
            with contextlib.suppress(OSError):  # unreadable for us, so programs can't need it
                texts[path] = path.read_bytes()
    kernel.mount("tmpfs", "/etc", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    for path in found:
        path.parent.mkdir(parents=True, exist_ok=True)
    for path, target in links.items():
        path.symlink_to(target)
    for path, descriptor in folders.items():
        path.mkdir()
        kernel.mount(f"/proc/self/fd/{descriptor}", str(path), flags=kernel.MS_BIND | kernel.MS_REC)
        os.close(descriptor)
    own = {etc / "hosts": hosts.encode(), etc / "hostname": b""}
    for path, text in {**texts, **own}.items():
        path.write_bytes(text)
