"""A TCP proxy that breaks connections in chosen ways: cut, delayed, altered, answered by itself.

Each new connection takes the next fault; when none is left connections are passed on unharmed.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import trio

REFUSAL = b"HTTP/1.1 %d Busy\r\nRetry-After: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Fault:
    """What happens to one connection."""

    cut: int | None = None  # it is reset after this many bytes of answers
    cut_requests: int | None = None  # the same for what is sent to the server
    stall: int | None = None  # nothing comes any more after this many bytes of answers
    alter: int | None = None  # the byte of the answers at this offset is flipped
    delay: float = 0.0  # before anything is passed on
    status: int = 0  # this is answered in place of the server
    retry_after: int = 0


@dataclass
class Proxy:
    """A running proxy."""

    port: int
    faults: list[Fault]
    stalled: trio.Event = field(default_factory=trio.Event)
    connections: int = 0
    passed: list[int] = field(default_factory=list)  # bytes of answers, by connection

    @property
    def host(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def faulty(port: int, faults: Sequence[Fault]) -> AsyncIterator[Proxy]:
    """Stand before a server on `port` of this machine until the block ends."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    proxy = Proxy(listeners[0].socket.getsockname()[1], list(faults))

    async def connection(client: trio.SocketStream) -> None:
        fault = proxy.faults.pop(0) if proxy.faults else Fault()
        number = proxy.connections
        proxy.connections += 1
        proxy.passed.append(0)
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with client:
                await trio.sleep(fault.delay)
                if fault.status:
                    await client.receive_some(65536)
                    await client.send_all(REFUSAL % (fault.status, fault.retry_after))
                    return
                server = await trio.open_tcp_stream("127.0.0.1", port)
                async with server, trio.open_nursery() as nursery:

                    async def forward() -> None:
                        await _requests(client, server, fault)
                        if fault.cut_requests is not None:
                            nursery.cancel_scope.cancel()

                    nursery.start_soon(forward)
                    await _answers(server, client, fault, proxy, number)
                    nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, connection, listeners)
        yield proxy
        nursery.cancel_scope.cancel()


async def _requests(client: trio.SocketStream, server: trio.SocketStream, fault: Fault) -> None:
    left = fault.cut_requests
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await client.receive_some(65536):
            await server.send_all(data if left is None else data[:left])
            if left is not None:
                left -= len(data)
                if left <= 0:
                    return
        await server.send_eof()


async def _answers(
    server: trio.SocketStream, client: trio.SocketStream, fault: Fault, proxy: Proxy, number: int
) -> None:
    at = 0
    while data := await server.receive_some(65536):
        if fault.alter is not None and at <= fault.alter < at + len(data):
            changed = bytearray(data)
            changed[fault.alter - at] ^= 0x55
            data = bytes(changed)
        if fault.cut is not None:
            data = data[: fault.cut - at]
        await client.send_all(data)
        at += len(data)
        proxy.passed[number] = at
        if fault.cut is not None and at >= fault.cut:
            return
        if fault.stall is not None and at >= fault.stall:
            proxy.stalled.set()
            await trio.sleep_forever()
