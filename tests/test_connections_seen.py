"""The connections that the kernel has, as the watcher of a program sees them."""

import os
import socket
from collections.abc import Iterator

import pytest

from pushpull.machines.agent import connections

TABLES = {socket.AF_INET: "/proc/self/net/tcp", socket.AF_INET6: "/proc/self/net/tcp6"}
HERE = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with socket.create_server((HERE[request.param], 0), family=request.param) as server:
        yield server


def test_one_is_there_until_it_is_closed(server: socket.socket) -> None:
    port = server.getsockname()[1]
    with socket.create_connection(server.getsockname()[:2]) as client:
        ours = str(os.fstat(client.fileno()).st_ino)
        assert set(connections.established({port})) == {ours}  # the other is not accepted yet
        accepted, _ = server.accept()
        with accepted:
            seen = connections.established({port})
            assert set(seen) == {ours, str(os.fstat(accepted.fileno()).st_ino)}
            assert set(seen.values()) == {HERE[server.family]}
            assert seen.keys() <= connections.inodes(os.getpid())
            assert connections.established({1}) == {}
    assert connections.established({port}) == {}


def test_the_tables_say_the_same(server: socket.socket) -> None:
    """For a kernel that can't be asked."""
    with socket.create_connection(server.getsockname()[:2]) as client:
        accepted, _ = server.accept()
        ours = {str(os.fstat(one.fileno()).st_ino) for one in (client, accepted)}
        with accepted:
            asked = connections.asked(server.family)
            listed = connections.listed(TABLES[server.family])
    found = [sorted(r[1:] for r in rows if r[2] in ours) for rows in (asked, listed)]
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_those_that_are_over_cost_nothing(server: socket.socket) -> None:
    """Thousands may wait for their end, which made a look slower than a connection was long."""
    for _ in range(100):
        with socket.create_connection(server.getsockname()[:2]):
            server.accept()[0].close()
    port = server.getsockname()[1]
    assert not [ends for ends, *_ in connections.asked(server.family) if port in ends]
