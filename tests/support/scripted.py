"""A web server whose every answer a test decides: h11 over trio, in-process.

It is for what real registries do not show.

    def answer(seen): return Answer(200, {"Content-Type": "text/plain"}, b"hello")
    async with serving(answer) as server: ...   # server.host, server.seen
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11
import trio


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to send; `cut` bytes of the body only, then the connection breaks (-1: no head either)."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    delay: float = 0.0
    chunked: bool = False


Handler = Callable[[Seen], Answer]


@dataclass
class Server:
    """A running server and what it was asked."""

    port: int
    scheme: str = "http"
    seen: list[Seen] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Return scheme, host and port."""
        return f"{self.scheme}://{self.host}"

    def asked(self) -> list[str]:
        """Return methods and paths so far, without the probe of /v2/."""
        return [f"{seen.method} {seen.path}" for seen in self.seen if seen.path != "/v2/"]


@contextlib.asynccontextmanager
async def serving(handler: Handler, *, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve until the block ends."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(listeners[0].socket.getsockname()[1], "https" if context else "http")

    async def connection(stream: trio.SocketStream) -> None:
        talk: Any = (
            trio.SSLStream(stream, context, server_side=True, https_compatible=True) if context else stream
        )
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            async with talk:
                await _converse(talk, handler, server)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, connection, listeners)
        yield server
        nursery.cancel_scope.cancel()


async def _converse(stream: Any, handler: Handler, server: Server) -> None:
    http = h11.Connection(h11.SERVER)
    while True:
        request, body = await _request(stream, http)
        if request is None:
            return
        parts = urlsplit(request.target.decode())
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        headers = {name.decode(): value.decode() for name, value in request.headers}
        seen = Seen(request.method.decode(), parts.path, query, headers, body)
        server.seen.append(seen)
        answer = handler(seen)
        await trio.sleep(answer.delay)
        if not await _answer(stream, http, seen, answer) or http.our_state is not h11.DONE:
            return
        http.start_next_cycle()


async def _request(stream: Any, http: h11.Connection) -> tuple[h11.Request | None, bytes]:
    request, body = None, bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:
            return None, b""


async def _answer(stream: Any, http: h11.Connection, seen: Seen, answer: Answer) -> bool:
    if answer.cut == -1:
        return False
    headers = {**answer.headers}
    if answer.chunked:
        headers["Transfer-Encoding"] = "chunked"
    elif not any(name.lower() == "content-length" for name in headers):
        headers["Content-Length"] = str(len(answer.body))
    head = h11.Response(status_code=answer.status, headers=list(headers.items()))
    await stream.send_all(http.send(head))
    if seen.method == "HEAD":
        await stream.send_all(http.send(h11.EndOfMessage()))
        return True
    body = answer.body if answer.cut is None else answer.body[: answer.cut]
    if body:
        await stream.send_all(http.send(h11.Data(data=body)))
    if answer.cut is not None:
        return False
    await stream.send_all(http.send(h11.EndOfMessage()))
    return True
