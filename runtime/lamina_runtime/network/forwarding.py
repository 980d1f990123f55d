"""The forwarder of published ports: connections from the host's network into a container's.

Theory.  This process lives in the container's network namespace and inherits sockets that listen in
the host's: a socket stays in the namespace it was made in.  So what it accepts comes from the host,
what it connects to is in the container, and nothing has to change namespaces while it runs.  It has
no capability and serves until it is killed with the container's monitor.

TCP: two tasks a connection, one a direction.  The end of one direction is handed on as such
(half-close); a reset on one side resets the other.  A side that does not read stops the other after
one buffer, as the kernel's windows do.
UDP: a client is known by its address; what the container answers on the socket made for it goes back
there.  A client that is silent for `IDLE` seconds is forgotten, as is the oldest of too many.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import resource
import socket as plain
import struct
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.socket import SocketType

PIECE = 128 << 10
DATAGRAM = 65_536
CONNECTIONS = 8192  # at a time; more wait in the listening sockets
CLIENTS = 1024  # of one UDP port
IDLE = 90.0  # seconds, docker's
CONNECT = 20.0  # seconds for the container to take a connection
BREATH = 0.1  # seconds, when descriptors run out
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close at once, by a reset

log = logging.getLogger(__name__)


def main(text: str) -> int:
    """Serve what `text` says: {"ports": [[descriptor, protocol, port]...], "targets": [ADDRESS...]}."""
    task = json.loads(text)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    trio.run(serve, task["ports"], task["targets"])
    return 0


async def serve(ports: Sequence[Sequence[Any]], targets: Sequence[str]) -> None:
    """Forward each (descriptor, protocol, port) to the first of the addresses that takes it."""
    limit = trio.CapacityLimiter(CONNECTIONS)
    with contextlib.ExitStack() as held:
        await _serve(held, limit, ports, targets)


async def _serve(
    held: contextlib.ExitStack,
    limit: trio.CapacityLimiter,
    ports: Sequence[Sequence[Any]],
    targets: Sequence[str],
) -> None:
    async with trio.open_nursery() as nursery:
        for descriptor, protocol, port in ports:
            inherited = plain.socket(fileno=descriptor)
            listener = held.enter_context(trio.socket.from_stdlib_socket(inherited))
            if protocol == "udp":
                nursery.start_soon(Datagrams(listener, targets, port).serve)
            else:
                nursery.start_soon(_accept, listener, targets, port, limit)


async def _accept(
    listener: SocketType, targets: Sequence[str], port: int, limit: trio.CapacityLimiter
) -> None:
    async with trio.open_nursery() as nursery:
        while True:
            holder = object()
            await limit.acquire_on_behalf_of(holder)
            try:
                client, _ = await listener.accept()
            except OSError as error:  # a client that has gone, or no descriptor left
                limit.release_on_behalf_of(holder)
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    await trio.sleep(BREATH)
                elif error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                    raise
                continue
            nursery.start_soon(_connection, client, targets, port, limit, holder)


async def _connection(
    client: SocketType, targets: Sequence[str], port: int, limit: trio.CapacityLimiter, holder: object
) -> None:
    try:
        with client:
            server = await _connect(targets, port)
            if server is None:
                _reset(client)
                return
            with server:
                await _copy_both(client, server)
    finally:
        limit.release_on_behalf_of(holder)


async def _connect(targets: Sequence[str], port: int) -> SocketType | None:
    """Return a connection into the container, None where nobody there takes it."""
    for address in targets:
        made = _socket(address, plain.SOCK_STREAM)
        if made is None:
            continue
        try:
            with trio.fail_after(CONNECT):
                await made.connect((address, port))
        except (OSError, trio.TooSlowError) as error:
            made.close()
            log.debug("%s port %d: %s", address, port, error)
        except BaseException:
            made.close()
            raise
        else:
            return made
    return None


def _socket(address: str, kind: int) -> SocketType | None:
    family = plain.AF_INET6 if ":" in address else plain.AF_INET
    try:
        return trio.socket.socket(family, kind)
    except OSError as error:  # no such family, or no descriptor left
        log.debug("%s: %s", address, error)
        return None


async def _copy_both(one: SocketType, other: SocketType) -> None:
    for side in (one, other):
        side.setsockopt(plain.IPPROTO_TCP, plain.TCP_NODELAY, 1)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_copy, one, other)
            nursery.start_soon(_copy, other, one)
    except* OSError:
        _reset(one)
        _reset(other)


async def _copy(source: SocketType, target: SocketType) -> None:
    while data := await source.recv(PIECE):
        rest = memoryview(data)
        while rest:
            rest = rest[await target.send(rest) :]
    with contextlib.suppress(OSError):  # it has been reset meanwhile, and the other task sees that
        target.shutdown(plain.SHUT_WR)


def _reset(side: SocketType) -> None:
    with contextlib.suppress(OSError):
        side.setsockopt(plain.SOL_SOCKET, plain.SO_LINGER, _RESET)


class Datagrams:
    """One UDP port and its clients."""

    def __init__(self, listener: SocketType, targets: Sequence[str], port: int) -> None:
        self._listener, self._targets, self._port = listener, targets, port
        self._clients: dict[Any, _Client] = {}  # by address, the longest silent first

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._clients)

    async def serve(self) -> None:
        """Hand datagrams on, for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    data, address = await self._listener.recvfrom(DATAGRAM)
                except OSError as error:  # an answer of ours was refused
                    log.debug("port %d: %s", self._port, error)
                    continue
                client = self._clients.pop(address, None) or await self._new(address, nursery)
                if client is None:
                    continue  # as the network may do
                self._clients[address] = client
                client.seen = trio.current_time()
                with contextlib.suppress(OSError):
                    await client.socket.send(data)

    async def _new(self, address: Any, nursery: trio.Nursery) -> _Client | None:
        while len(self._clients) >= CLIENTS:
            self._clients.pop(next(iter(self._clients))).scope.cancel()
        for target in self._targets:
            made = _socket(target, plain.SOCK_DGRAM)
            if made is None:
                continue
            try:
                await made.connect((target, self._port))
            except OSError as error:
                made.close()
                log.debug("%s port %d: %s", target, self._port, error)
                continue
            client = _Client(made)
            nursery.start_soon(self._answers, address, client)
            return client
        return None

    async def _answers(self, address: Any, client: _Client) -> None:
        """Hand back what the container answers, until the client has long been silent."""
        with client.socket, client.scope:
            while True:
                with trio.move_on_at(client.seen + IDLE) as waited:
                    try:
                        data = await client.socket.recv(DATAGRAM)
                        await self._listener.sendto(data, address)
                        client.seen = trio.current_time()
                    except OSError as error:  # nobody listens there yet
                        log.debug("port %d: %s", self._port, error)
                if waited.cancelled_caught and trio.current_time() >= client.seen + IDLE:
                    break
        if self._clients.get(address) is client:
            del self._clients[address]


class _Client:
    """A UDP client: the socket that speaks for it in the container, and when it was last heard of."""

    def __init__(self, made: SocketType) -> None:
        self.socket, self.seen, self.scope = made, trio.current_time(), trio.CancelScope()
