"""A document at a URL as a stream: trio fetches in a thread of its own, the caller reads.

Theory.  The queue between them is short, so memory is bounded and a slow disk slows the network.
A failure travels through the queue like data; a reader that gives up makes the fetcher stop at its
next piece.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import trio

from lamina_runtime import contexts
from lamina_runtime.registry.exchange import exchange
from lamina_runtime.registry.failures import RegistryError
from lamina_runtime.registry.options import from_process
from lamina_runtime.registry.transport import Request, Transport, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

AHEAD = 16  # pieces
OK = 200


class Fetched:
    """The body of an answer, to be read in order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._queue: queue.Queue[bytes | int | BaseException] = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._rest = b""
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)
        self._thread.start()
        first = self._take()
        assert isinstance(first, int)
        self.size = first  # 0 if the server does not say

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes, b"" at the end; raise what the network raised."""
        if not self._rest:
            found = self._take()
            assert isinstance(found, bytes)
            self._rest = found
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def close(self) -> None:
        """Stop fetching."""
        self._stopped.set()
        while self._thread.is_alive():
            with contexts.suppress(queue.Empty):
                self._queue.get(timeout=0.05)

    def _take(self) -> bytes | int:
        found = self._queue.get()
        if isinstance(found, BaseException):
            self._queue.put(found)  # also for whoever asks again
            raise found
        if found == b"":
            self._queue.put(b"")
        return found

    def _run(self) -> None:
        try:
            trio.run(self._fetch)
            self._queue.put(b"")
        except Exception as error:  # noqa: BLE001 - it goes to the reader, whatever it is
            self._queue.put(error)

    async def _fetch(self) -> None:
        options = from_process()
        headers = {"User-Agent": options.user_agent, "Accept-Encoding": "identity"}
        async with (
            Transport(options) as transport,
            exchange(transport, Request("GET", self._url, headers)) as reply,
        ):
            if reply.status != OK:
                raise RegistryError(f"{shown(self._url)}: status {reply.status}", status=reply.status)
            length = reply.headers.get("content-length") or ""
            await trio.to_thread.run_sync(self._queue.put, int(length) if length.isdigit() else 0)
            async with reply.chunks() as pieces:
                async for piece in pieces:
                    if self._stopped.is_set():
                        return
                    if piece:
                        await trio.to_thread.run_sync(self._queue.put, bytes(piece))


@contexts.contextmanager
def fetched(url: str) -> Iterator[Fetched]:
    """Fetch a URL while the block runs."""
    found = Fetched(url)
    try:
        yield found
    finally:
        found.close()
