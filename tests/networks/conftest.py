"""The installed command as root, as a plain user, and as one with a single id; sockets of the host."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.containers_cli.conftest import Host, host, make_host, wait_for

__all__ = ["Host", "connected", "host", "received", "relatives", "shared", "wait_for"]

SECONDS = 20


@pytest.fixture(scope="module", params=["root", "user", "single"])
def shared(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A store for one of them; the network's helper is there for all, newuidmap is not."""
    made = make_host(request.param)
    helper = shutil.which("slirp4netns")
    if request.param == "single" and helper:
        made.path = f"{made.top}/bin"
        Path(made.path).mkdir()
        Path(made.path, "slirp4netns").symlink_to(helper)
    yield made
    shutil.rmtree(made.top, ignore_errors=True)


@pytest.fixture
def helped() -> None:
    """Skip where no helper leads out of a network namespace."""
    if not shutil.which("slirp4netns") or not Path("/dev/net/tun").exists():
        pytest.skip("needs slirp4netns and /dev/net/tun")


def connected(port: int, address: str = "127.0.0.1") -> socket.socket:
    """Connect to a published port once the container answers there."""
    found: list[socket.socket] = []

    def answered() -> bool:
        with suppress(OSError), ExitStack() as stack:
            made = stack.enter_context(socket.create_connection((address, port), timeout=SECONDS))
            made.sendall(b"?")
            if made.recv(1) == b"?":
                stack.pop_all()
                found.append(made)
        return bool(found)

    wait_for(answered, SECONDS)
    return found[0]


def received(side: socket.socket) -> bytes:
    """Return all that comes until the end."""
    data = b""
    while piece := side.recv(1 << 16):
        data += piece
    return data


def relatives(pid: int) -> list[int]:
    """Return a container's first process, its monitor, and the monitor's other children."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]


@contextmanager
def served(address: str = "127.0.0.1") -> Iterator[int]:
    """Listen on a port of the host and say hello to one who connects."""
    import threading

    with socket.create_server((address, 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                client, _ = listener.accept()
                with client:
                    client.sendall(b"hello from the host\n")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()
