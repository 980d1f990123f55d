"""The forwarder by itself: both ends of what it forwards are ours."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from lamina_runtime.network import forwarding

pytestmark = [pytest.mark.trio, pytest.mark.timeout(60)]
LOOP = "127.0.0.1"
Handler = Callable[[trio.SocketStream], Awaitable[None]]


def listener(kind: int = socket.SOCK_STREAM) -> tuple[int, int]:
    """Return a descriptor to be forwarded, and its port."""
    made = socket.socket(socket.AF_INET, kind)
    made.bind((LOOP, 0))
    if kind == socket.SOCK_STREAM:
        made.listen()
    port = made.getsockname()[1]
    return made.detach(), port


@asynccontextmanager
async def forwarded(handler: Handler) -> AsyncIterator[int]:
    """Yield a port that leads to a server."""
    async with trio.open_nursery() as nursery:
        servers = await trio.open_tcp_listeners(0, host=LOOP)
        nursery.start_soon(trio.serve_listeners, handler, servers)
        fd, port = listener()
        inner = servers[0].socket.getsockname()[1]
        nursery.start_soon(forwarding.serve, [[fd, "tcp", inner]], ["::1", LOOP])
        with trio.fail_after(30):
            yield port
        nursery.cancel_scope.cancel()
    for server in servers:
        await server.aclose()


async def rest(stream: trio.SocketStream) -> bytes:
    """Return all until the end, and close."""
    async with stream:
        return b"".join([bytes(piece) async for piece in stream])


async def test_the_end_of_one_direction_is_handed_on() -> None:
    async def answer_at_the_end(stream: trio.SocketStream) -> None:
        size = 0
        async with stream:
            async for piece in stream:
                size += len(piece)
            await stream.send_all(b"%d bytes" % size)

    async with forwarded(answer_at_the_end) as port:
        stream = await trio.open_tcp_stream(LOOP, port)
        await stream.send_all(bytes(3_000_000))
        await stream.send_eof()
        assert await rest(stream) == b"3000000 bytes"


async def test_a_reset_is_handed_on() -> None:
    async def reset(stream: trio.SocketStream) -> None:
        await stream.receive_some(1)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.socket.close()

    async with forwarded(reset) as port:
        stream = await trio.open_tcp_stream(LOOP, port)
        await stream.send_all(b"x")
        with pytest.raises(trio.BrokenResourceError):
            await rest(stream)


async def test_nobody_there_is_a_reset() -> None:
    fd, port = listener()
    with socket.socket() as unused:
        unused.bind((LOOP, 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(forwarding.serve, [[fd, "tcp", unused.getsockname()[1]]], [LOOP])
            with trio.fail_after(30), pytest.raises(trio.BrokenResourceError):
                await rest(await trio.open_tcp_stream(LOOP, port))
            nursery.cancel_scope.cancel()


async def test_who_does_not_read_stops_who_writes() -> None:
    sent = 0

    async def pour(stream: trio.SocketStream) -> None:
        nonlocal sent
        for _ in range(1024):
            await stream.send_all(bytes(1 << 16))
            sent += 1 << 16
        await stream.aclose()

    async with forwarded(pour) as port:
        stream = await trio.open_tcp_stream(LOOP, port)
        before = -1
        while sent != before or not sent:  # until nothing moves any more
            before = sent
            await trio.sleep(0.1)
        assert sent < 48 << 20
        assert len(await rest(stream)) == 64 << 20


async def test_many_at_once() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data)
        await stream.aclose()

    async with forwarded(echo) as port:
        done = []

        async def client(number: int) -> None:
            stream = await trio.open_tcp_stream(LOOP, port)
            text = f"{number} ".encode() * 1000
            await stream.send_all(text)
            await stream.send_eof()
            assert await rest(stream) == text
            done.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(client, number)
        assert len(done) == 100


async def test_each_client_gets_its_own_datagrams() -> None:
    fd, port = listener(socket.SOCK_DGRAM)
    server = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    await server.bind((LOOP, 0))

    async def upper() -> None:
        while True:
            data, address = await server.recvfrom(100)
            await server.sendto(data.upper(), address)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(upper)
        nursery.start_soon(forwarding.serve, [[fd, "udp", server.getsockname()[1]]], [LOOP])
        with trio.fail_after(30):
            clients = [trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
            for number, client in enumerate(clients):
                await client.connect((LOOP, port))
                await client.send(f"from {number}".encode())
            for number, client in enumerate(clients):
                assert await client.recv(100) == f"FROM {number}".encode()
                client.close()
        nursery.cancel_scope.cancel()
    server.close()


async def test_silent_clients_are_forgotten_and_there_are_never_too_many(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "CLIENTS", 2)
    fd, port = listener(socket.SOCK_DGRAM)
    made = trio.socket.from_stdlib_socket(socket.socket(fileno=fd))
    datagrams = forwarding.Datagrams(made, [LOOP], 9)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(datagrams.serve)
        for client in clients:
            client.connect((LOOP, port))
            client.send(b"x")
            await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(datagrams) == 2
        await trio.sleep(2 * forwarding.IDLE)
        assert len(datagrams) == 0
        nursery.cancel_scope.cancel()
    made.close()
    for client in clients:
        client.close()
