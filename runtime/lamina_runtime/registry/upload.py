"""A blob to a registry: present already, mounted from next door, or sent (end-2, 4a-c, 5, 6, 11, 13, 14).

Theory. The cheapest way first: ask (HEAD), then let the registry take it from a repository where it is
known to be (mount), then send. A small blob goes with the request that opens the upload, or in the one that
closes it. A large one is a PATCH, or several if pieces are wanted; when one breaks, the registry says how
much it has and we go on from there. Each answer says where the next request goes. An upload that we give up
is cancelled, so that nothing of it stays at the registry.
"""

import contextlib
import enum
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote, urlsplit

import trio

from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import MismatchError, OciError
from lamina_runtime.registry.authorization import Rights
from lamina_runtime.registry.backoff import RETRIED, Backoff
from lamina_runtime.registry.exchange import resolve
from lamina_runtime.registry.failures import MissingError, ProtocolError, RegistryError, TransferError
from lamina_runtime.registry.session import Call, Session
from lamina_runtime.registry.sources import Source
from lamina_runtime.registry.transport import Body, Reply

SMALL = 64 << 10  # bytes that are not worth a request of their own
PIECE = 1 << 20
MAX_ANSWER = 1 << 20
MAX_MINIMUM = 1 << 30  # no registry may ask us for larger pieces
MAX_BREAKS = 1000
MAX_MOUNTS = 3
CANCEL = 5.0  # seconds
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")


class Outcome(enum.Enum):
    """What became of an upload."""

    EXISTS = "Layer already exists"
    MOUNTED = "Mounted"
    PUSHED = "Pushed"


@dataclass(frozen=True, slots=True)
class Opened:
    """An open upload: where the next request goes, the least size of a piece, what is there."""

    address: str
    least: int = 0
    offset: int = 0


class Upload:
    """One blob on its way to one repository.  `open_blob` gives its bytes from the beginning, each time."""

    def __init__(
        self,
        session: Session,
        source: Source,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._session, self._source, self._descriptor = session, source, descriptor
        self._open_blob, self._progress = open_blob, progress
        self._rights = Rights.to(source.repository, "pull,push")
        self._sent = 0

    async def run(self, *, mount_from: Sequence[str] = ()) -> Outcome:
        """Bring the blob there by the cheapest way; `mount_from` are repositories that should have it."""
        if await self._exists():
            return Outcome.EXISTS
        opened: Opened | None = None
        for repository in mount_from[:MAX_MOUNTS]:
            opened = await self._mount(repository)
            if opened is None:
                return Outcome.MOUNTED
        backoff = Backoff(self._session.options.retry)
        while True:
            try:
                await self._send(opened, backoff)
            except _LostError as exc:
                pause = backoff.wait()
                if pause is None:
                    raise exc.failure from exc
                await trio.sleep(pause)
                self._note(0)
                opened = None
            else:
                return Outcome.PUSHED

    async def _exists(self) -> bool:
        rights = self._rights
        call = Call("HEAD", f"{self._source.repository}/blobs/{self._descriptor.digest}", rights)
        try:
            await self._session.ask(self._source.host, call, limit=0)
        except MissingError:
            return False
        return True

    async def _mount(self, repository: str) -> Opened | None:
        """Let the registry take the blob from `repository`; None if it did, else the upload it opened."""
        query = [("mount", str(self._descriptor.digest)), ("from", repository)]
        rights = Rights.to(self._source.repository, "pull,push", read_from=[repository])
        call = Call("POST", f"{self._source.repository}/blobs/uploads/", rights, query, headers=_EMPTY)
        reply, _ = await self._session.ask(self._source.host, call, limit=MAX_ANSWER)
        return None if reply.status == 201 else self._opened(reply)

    async def _send(self, opened: Opened | None, backoff: Backoff) -> None:
        size = self._descriptor.size
        if opened is None:
            opened = await self._open()
            if opened is None:
                return
        try:
            if size > SMALL or self._session.options.chunk:
                opened = await self._pieces(opened, backoff)
            await self._close(opened)
        except BaseException:
            await self._cancel(opened)
            raise

    async def _open(self) -> Opened | None:
        """Open an upload; a small blob goes with it, and None says that the registry took it."""
        digest, size = self._descriptor.digest, self._descriptor.size
        query = [] if digest.algorithm == "sha256" else [("digest-algorithm", digest.algorithm)]
        headers, body = _EMPTY, None
        if size <= SMALL and not self._session.options.chunk:
            query, headers, body = [("digest", str(digest))], _octets(size), self._body(0, size)
        path = f"{self._source.repository}/blobs/uploads/"
        call = Call("POST", path, self._rights, query, headers=headers, body=body)
        reply, _ = await self._session.ask(self._source.host, call, limit=MAX_ANSWER)
        return None if reply.status == 201 else self._opened(reply)

    async def _pieces(self, opened: Opened, backoff: Backoff) -> Opened:
        """Send everything by PATCH; go on where a broken one ended."""
        size = self._descriptor.size
        for _ in range(MAX_BREAKS + size // (self._session.options.chunk or PIECE)):
            if opened.offset >= size:
                return opened
            try:
                opened = await self._piece(opened)
            except (TransferError, RegistryError) as exc:
                if isinstance(exc, RegistryError) and exc.status not in RETRIED | {416}:
                    raise
                known = await self._status(opened, exc)
                if known.offset > opened.offset:
                    backoff.progressed()
                pause = backoff.wait()
                if pause is None:
                    raise
                await trio.sleep(pause)
                opened = known
        raise ProtocolError(f"{self._source}: {self._descriptor.digest} goes in too many pieces")

    async def _piece(self, opened: Opened) -> Opened:
        size, chunk = self._descriptor.size, self._session.options.chunk
        end = min(size, opened.offset + max(chunk, opened.least)) if chunk else size
        headers = _octets(end - opened.offset)
        if (opened.offset, end) != (0, size):
            headers["Content-Range"] = f"{opened.offset}-{end - 1}"
        call = self._at(opened, "PATCH", headers=headers, body=self._body(opened.offset, end))
        async with self._session.call(self._source.host, call) as reply:
            await reply.read(MAX_ANSWER)
        known = _RANGE.fullmatch(reply.headers.get("range") or "")
        there = int(known[1]) + 1 if known else end
        if not opened.offset < there <= end:
            raise ProtocolError(f"{self._source}: the registry has {there} bytes of {end} sent")
        return self._opened(reply, least=opened.least, offset=there)

    async def _status(self, opened: Opened, failure: Exception) -> Opened:
        """Ask how much of the upload the registry has."""
        readable = frozenset({404})
        reply, _ = await self._session.ask(
            self._source.host, self._at(opened, "GET", readable=readable), limit=MAX_ANSWER
        )
        if reply.status == 404:
            raise _LostError(failure)
        known = _RANGE.fullmatch(reply.headers.get("range") or "")
        there = int(known[1]) + 1 if known else 0
        if known and int(known[1]) == 0:
            there = 0  # "0-0" says nothing as well as one byte; the first byte may be sent twice
        if there > self._descriptor.size:
            raise ProtocolError(f"{self._source}: the registry has more of the upload than was sent")
        self._note(there)
        address = self._opened(reply).address if reply.headers.get("location") else opened.address
        return Opened(address, opened.least, there)

    async def _close(self, opened: Opened) -> None:
        """Send what was not sent, and name the digest."""
        digest, size = self._descriptor.digest, self._descriptor.size
        parts = urlsplit(opened.address)
        query = f"{parts.query}&" if parts.query else ""
        address = parts._replace(query=f"{query}digest={quote(str(digest), safe='')}").geturl()
        whole = opened.offset == 0 and size > 0
        headers = _octets(size) if whole else _EMPTY
        call = self._at(Opened(address), "PUT", headers=headers, body=self._body(0, size) if whole else None)
        try:
            reply, _ = await self._session.ask(self._source.host, call, limit=MAX_ANSWER)
        except (TransferError, RegistryError) as exc:
            if isinstance(exc, RegistryError) and exc.status not in RETRIED:
                raise
            if await self._exists():
                return  # the answer was lost, not the blob
            raise _LostError(exc) from exc
        if reply.status != 201:
            raise ProtocolError(f"{self._source}: the registry answered {reply.status} to a finished upload")
        stored = reply.headers.get("docker-content-digest")
        if stored and _other(stored, digest):
            raise MismatchError(f"{self._source}: blob as stored", expected=digest, actual=stored)

    async def _cancel(self, opened: Opened) -> None:
        """Tell the registry that nothing more will come; it may not care."""
        with trio.move_on_after(CANCEL, shield=True), contextlib.suppress(TransferError, RegistryError):
            await self._session.ask(self._source.host, self._at(opened, "DELETE"), limit=MAX_ANSWER)

    def _at(
        self,
        opened: Opened,
        method: str,
        *,
        headers: dict[str, str] | None = None,
        body: Body | None = None,
        readable: frozenset[int] = frozenset(),
    ) -> Call:
        """Return a request to the open upload; whoever sends one knows how to go on after a failure."""
        path = f"{self._source.repository}/blobs/uploads/"
        return Call(
            method, path, self._rights, headers=headers or {}, body=body, readable=readable,
            patient=method == "GET", address=opened.address,
        )  # fmt: skip

    def _opened(self, reply: Reply, *, least: int | None = None, offset: int = 0) -> Opened:
        location = reply.headers.get("location")
        if reply.status not in {202, 204} or not location:
            raise ProtocolError(
                f"{self._source}: the registry answered {reply.status}, no place to upload to"
            )
        if least is None:
            said = reply.headers.get("oci-chunk-min-length") or "0"
            least = int(said) if said.isdigit() and len(said) < 19 else 0
            if least > MAX_MINIMUM:
                raise ProtocolError(f"{self._source}: the registry wants pieces of {least} bytes or more")
        return Opened(resolve(reply.url, location, insecure=self._source.host.insecure), least, offset)

    def _body(self, start: int, end: int) -> Body:
        async def body() -> AsyncGenerator[bytes, None]:
            self._note(start)
            stream = await trio.to_thread.run_sync(self._open_blob)
            try:
                await trio.to_thread.run_sync(stream.seek, start)
                at = start
                while at < end:
                    piece = await trio.to_thread.run_sync(stream.read, min(PIECE, end - at))
                    if not piece:
                        raise OciError(f"{self._descriptor.digest}: the stored blob is too short")
                    yield piece
                    at += len(piece)
                    self._note(at)
            finally:
                stream.close()

        return body

    def _note(self, at: int) -> None:
        self._progress(at - self._sent)
        self._sent = at


class _LostError(Exception):
    """The registry does not know our upload any more: begin again."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(str(failure))
        self.failure = failure


_EMPTY = {"Content-Length": "0"}


def _octets(size: int) -> dict[str, str]:
    return {"Content-Type": "application/octet-stream", "Content-Length": str(size)}


def _other(said: str, digest: Digest) -> bool:
    try:
        found = Digest.parse(said)
    except OciError:
        return False
    return found.algorithm == digest.algorithm and found != digest
