"""A blob into a writer: ranges, resumption, other places, bounds (end-2).

Theory. What a writer has already is not fetched again: a Range asks for the rest, whether the beginning
came in this process or another. A server that ignores the range sends it all, and the known part is passed
over. A broken connection is taken up where it broke, and every step forward renews the patience. Size is
enforced while bytes come; the digest when all are there. A digest that is wrong after a resumption may be
the fault of the old part, so that is tried once more from the beginning.

Back-pressure. Writers block (they decompress, hash and write), so they run in a thread, one piece at a
time, and nothing is read from the network meanwhile beyond what the kernel buffers.
"""

import re
from collections.abc import Callable
from typing import Protocol

import trio

from lamina_runtime.errors import IntegrityError, NetworkError
from lamina_runtime.layer.errors import LayerError
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.errors import MismatchError, OciError
from lamina_runtime.registry.authorization import Rights
from lamina_runtime.registry.backoff import Backoff
from lamina_runtime.registry.exchange import exchange
from lamina_runtime.registry.failures import MissingError, ProtocolError, TransferError, refusal
from lamina_runtime.registry.session import Call, Session
from lamina_runtime.registry.sources import Source
from lamina_runtime.registry.transport import Reply, Request

PIECE = 1 << 20  # bytes handed to a thread at a time: the hop costs some 100 µs
MAX_RESUMPTIONS = 1000
MAX_MEMORY = 4 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:(\d{1,18})|\*)")


class Writer(Protocol):
    """The shape of BlobWriter and LayerWriter: what a download needs of them."""

    @property
    def offset(self) -> int:
        """Bytes that are there."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take what follows."""

    def restart(self) -> None:
        """Throw away what is there."""

    def commit(self) -> object:
        """Verify and keep."""


Progress = Callable[[int], None]


class Download:
    """One blob on its way into one writer."""

    def __init__(
        self, session: Session, descriptor: Descriptor, writer: Writer, progress: Progress = lambda _: None
    ) -> None:
        self._session, self._descriptor, self._writer, self._progress = session, descriptor, writer, progress
        self._at = min(writer.offset, descriptor.size + 1)
        self._resumed = False

    async def run(self, source: Source) -> object:
        """Fetch what is missing and commit; returns what the writer's commit does."""
        if self._at > self._descriptor.size:
            await self._restart()
        self._progress(self._at)
        self._resumed = self._at > 0
        try:
            return await self._attempt(source)
        except (IntegrityError, LayerError):
            if not self._resumed:
                raise
        self._resumed = False
        return await self._attempt(source)

    async def _attempt(self, source: Source) -> object:
        try:
            return await self._through(source)
        except (IntegrityError, LayerError):
            await self._restart()  # nothing of it is to be continued, by us or at another place
            raise

    async def _through(self, source: Source) -> object:
        data = self._descriptor.data
        if data is not None and self._at == 0:
            await self._write(data)
        backoff = Backoff(self._session.options.retry)
        for _ in range(MAX_RESUMPTIONS):
            if self._at == self._descriptor.size:
                return await trio.to_thread.run_sync(self._writer.commit)
            before = self._at
            try:
                await self._part(source)
            except TransferError as exc:
                if self._at > before:
                    backoff.progressed()
                    self._resumed = True
                pause = None if exc.final else backoff.wait()
                if pause is None:
                    raise
                await trio.sleep(pause)
        raise ProtocolError(f"{source}: {self._descriptor.digest} comes in too many pieces")

    async def _part(self, source: Source) -> None:
        """Send one request and write what comes of it."""
        query = [("ns", source.namespace)] if source.namespace else []
        call = Call(
            "GET",
            f"{source.repository}/blobs/{self._descriptor.digest}",
            Rights.to(source.repository, "pull"),
            query,
            headers=self._range(),
            readable=frozenset({416}),
        )
        try:
            async with self._session.call(source.host, call) as reply:
                await self._receive(reply)
        except MissingError:
            if not self._descriptor.urls:
                raise
            await self._foreign()

    def _range(self) -> dict[str, str]:
        return {"Range": f"bytes={self._at}-"} if self._at else {}

    async def _foreign(self) -> None:
        """Fetch a layer that lies elsewhere (`urls`), without any rights of ours."""
        failure: NetworkError | None = None
        for url in self._descriptor.urls[:8]:
            try:
                await self._from_url(url)
            except NetworkError as exc:
                failure = exc
            else:
                return
        raise failure or ProtocolError(f"{self._descriptor.digest}: no address")

    async def _from_url(self, url: str) -> None:
        agent = {"User-Agent": self._session.options.user_agent, "Accept-Encoding": "identity"}
        async with exchange(self._session.transport, Request("GET", url, agent | self._range())) as reply:
            if reply.status >= 400 and reply.status != 416:
                raise refusal(f"GET {self._descriptor.digest}", reply.status, b"")
            await self._receive(reply)

    async def _receive(self, reply: Reply) -> None:
        skip = await self._where(reply)
        pending = bytearray()
        try:
            async with reply.chunks() as chunks:
                async for chunk in chunks:
                    known = min(skip, len(chunk))
                    skip -= known
                    pending += chunk[known:] if known else chunk
                    self._bound(len(pending))
                    if len(pending) >= PIECE:
                        await self._write(pending)
                        pending = bytearray()
        except TransferError:
            await self._write(pending)  # what came is good
            raise
        await self._write(pending)
        if self._at < self._descriptor.size:
            raise TransferError(f"{self._descriptor.digest}: the connection ended early")

    async def _where(self, reply: Reply) -> int:
        """Return how many bytes at the beginning of the body are known already."""
        size = self._descriptor.size
        if reply.status == 416:
            if self._at == 0:
                raise ProtocolError(f"{self._descriptor.digest}: refused a range that was not asked for")
            await self._restart()
            raise TransferError(f"{self._descriptor.digest}: the registry has no such range")
        if reply.status == 206:
            match = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range") or "")
            if match is None or int(match[1]) > self._at:
                raise ProtocolError(f"{self._descriptor.digest}: another range than was asked for")
            total = int(match[3]) if match[3] else size
            start = int(match[1])
        elif reply.status == 200:
            length = reply.headers.get("content-length") or str(size)
            total, start = int(length) if length.isdigit() and len(length) < 19 else size, 0
        else:
            raise ProtocolError(f"{self._descriptor.digest}: the registry answered {reply.status}")
        if total != size:
            raise self._wrong_size(total)
        return self._at - start

    def _bound(self, pending: int) -> None:
        if self._at + pending > self._descriptor.size:
            raise self._wrong_size(f"more than {self._descriptor.size}")

    def _wrong_size(self, actual: object) -> MismatchError:
        digest, size = self._descriptor.digest, self._descriptor.size
        return MismatchError(str(digest), expected=f"{size} bytes", actual=f"{actual} bytes")

    async def _write(self, data: bytearray | bytes) -> None:
        if data:
            await trio.to_thread.run_sync(self._writer.write, memoryview(data))
            self._at += len(data)
            self._progress(len(data))

    async def _restart(self) -> None:
        await trio.to_thread.run_sync(self._writer.restart)
        self._progress(-self._at)
        self._at = 0


class Memory:
    """A writer for small blobs: a configuration, say."""

    def __init__(self, descriptor: Descriptor, source: str) -> None:
        if descriptor.size > MAX_MEMORY:
            raise OciError(f"{source}: {descriptor.size} bytes are more than the limit of {MAX_MEMORY}")
        self._descriptor, self._source, self._data = descriptor, source, bytearray()

    @property
    def offset(self) -> int:
        """Bytes that are there."""
        return len(self._data)

    def write(self, data: bytes | memoryview, /) -> None:
        """Take what follows."""
        self._data += data

    def restart(self) -> None:
        """Throw away what is there."""
        self._data.clear()

    def commit(self) -> bytes:
        """Return what came, verified."""
        return self._descriptor.verify(bytes(self._data), self._source)


async def get_blob(session: Session, source: Source, descriptor: Descriptor) -> bytes:
    """Return a small blob, verified."""
    found = await Download(session, descriptor, Memory(descriptor, f"{source}: {descriptor.digest}")).run(
        source
    )
    assert isinstance(found, bytes)
    return found
