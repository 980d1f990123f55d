"""One exchange with one server: connections, TLS, proxies, timeouts; nothing of registries.

Theory. httpcore keeps connections; a pool has one TLS context and one proxy, so there is a pool for each
pair of those, made when first needed. A failure below HTTP becomes TransferError, which says whether
another try can help. Bodies are bounded by whoever reads them; heads are bounded by h11 (100 KiB).
"""

import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

import httpcore
import trio

from lamina_runtime.registry import tls
from lamina_runtime.registry.failures import CertificateError, ProtocolError, TransferError, printable
from lamina_runtime.registry.options import SessionOptions
from lamina_runtime.registry.proxies import proxy_for

MAX_CONNECTIONS = 64
KEEPALIVE = 15.0  # seconds; shorter than the usual 60 of servers
Body = Callable[[], AsyncGenerator[bytes, None]]  # makes the same body again for each attempt


class Headers:
    """Header fields by name, whatever its case."""

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs]

    def get(self, name: str) -> str | None:
        """Return the first value."""
        return next((value for key, value in self._pairs if key == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """Return every value."""
        return [value for key, value in self._pairs if key == name.lower()]


@dataclass(frozen=True, slots=True)
class Request:
    """What to send; a body has a length."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Body | None = None
    insecure: bool = False


class Reply:
    """Status and headers of an answer whose body is still on its way."""

    def __init__(self, response: httpcore.Response, url: str) -> None:
        self._response = response
        self.status, self.url = response.status, url
        self.headers = Headers(response.headers)

    @contextlib.asynccontextmanager
    async def chunks(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the body piece by piece, as it comes."""
        async with contextlib.aclosing(self._pieces()) as pieces:
            yield pieces

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        with _translated(self.url):
            async for piece in self._response.aiter_stream():
                yield piece

    async def read(self, limit: int) -> bytes:
        """Return the body; raises ProtocolError if it is longer than `limit`."""
        data = bytearray()
        async with self.chunks() as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > limit:
                    raise ProtocolError(f"{shown(self.url)}: an answer of more than {limit} bytes")
        return bytes(data)


class Transport:
    """The connections of one session.  Use as `async with`."""

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._pools: dict[tuple[tls.Certificates, bool, str], httpcore.AsyncConnectionPool] = {}
        timeouts = options.timeouts
        self._timeout = {
            "connect": timeouts.connect,
            "read": timeouts.silence,
            "write": timeouts.silence,
            "pool": timeouts.small,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.move_on_after(5, shield=True):  # TLS says goodbye, but not for ever
            for pool in self._pools.values():
                await pool.aclose()

    @contextlib.asynccontextmanager
    async def send(self, request: Request) -> AsyncIterator[Reply]:
        """Send a request; the reply is good inside the `async with`."""
        pool = await self._pool(request)
        body = request.body() if request.body else None
        stream = pool.stream(
            request.method,
            request.url,
            headers=list(request.headers.items()),
            content=body,
            extensions={"timeout": self._timeout},
        )
        async with contextlib.AsyncExitStack() as stack:
            if body:
                stack.push_async_callback(body.aclose)  # the server may not want to have it all
            with _translated(request.url):
                response = await stack.enter_async_context(stream)
            yield Reply(response, request.url)

    async def _pool(self, request: Request) -> httpcore.AsyncConnectionPool:
        parts = _parts(request.url)
        files = tls.Certificates()
        if parts.scheme == "https":
            options = self._options
            files = tls.certificates(parts.netloc, options.certificates, explicit=options.certificate_dir)
        proxy = proxy_for(request.url, self._options.environment)
        key = (files, request.insecure or parts.scheme == "http", proxy.geturl() if proxy else "")
        if key not in self._pools:
            secure = parts.scheme == "https"
            context = await trio.to_thread.run_sync(_context, files, request.insecure) if secure else None
            if key not in self._pools:
                self._pools[key] = httpcore.AsyncConnectionPool(
                    ssl_context=context,
                    proxy=_proxy(proxy.geturl()) if proxy else None,
                    max_connections=MAX_CONNECTIONS,
                    keepalive_expiry=KEEPALIVE,
                )
        return self._pools[key]


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port beyond 65535
        sound = False
    if not sound:
        raise ProtocolError(f"{printable(url.partition('?')[0].rpartition('@')[2])}: not an HTTP address")
    return parts


def _context(files: tls.Certificates, insecure: bool) -> ssl.SSLContext:  # noqa: FBT001 - called by a thread
    return tls.context(files, verify=not insecure)


def _proxy(url: str) -> httpcore.Proxy:
    parts = urlsplit(url)
    authority = parts.netloc.rpartition("@")[2]
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return httpcore.Proxy(f"{parts.scheme}://{authority}", auth=auth)


def shown(url: str) -> str:
    """Return an address for a message: without query (it may hold a signature) and user."""
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
    ) as exc:
        raise explain(urlsplit(url).netloc.rpartition("@")[2], exc) from exc
    except httpcore.UnsupportedProtocol as exc:
        raise ProtocolError(f"{shown(url)}: not an HTTP address") from exc
    except UnicodeError as exc:  # a part of the host is empty or longer than 63 letters
        raise ProtocolError(f"{shown(url)}: its host cannot be one") from exc


def explain(host: str, failure: Exception) -> TransferError:
    """Return a failure below HTTP as one of ours: the cause that a person understands."""
    for cause in _causes(failure):
        match cause:
            case ssl.SSLCertVerificationError():
                return CertificateError(
                    f"{host}: its certificate is not trusted", details=cause.verify_message, final=True,
                    hint=f"put the authority's certificate into certs.d/{host}/ca.crt",
                )  # fmt: skip
            case ssl.SSLError():
                return TransferError(f"{host}: TLS failed: {cause.reason or cause}", final=True)
            case socket.gaierror():
                final = cause.errno != socket.EAI_AGAIN
                return TransferError(f"{host}: unknown host: {cause.strerror}", final=final)
            case OSError(errno=errno.ECONNREFUSED):
                return TransferError(f"{host}: connection refused", final=True)
            case OSError(strerror=str(text)):
                return TransferError(f"{host}: {text}")
    if isinstance(failure, httpcore.TimeoutException):
        return TransferError(f"{host}: no answer in time")
    return TransferError(f"{host}: {printable(str(failure)) or 'connection lost'}")


def _causes(failure: BaseException) -> list[BaseException]:
    """Return a failure and what it came from, the deepest first; groups are looked into."""
    found: list[BaseException] = []
    queue: list[BaseException] = [failure]
    while queue and len(found) < 64:
        one = queue.pop(0)
        found.append(one)
        queue += one.exceptions if isinstance(one, BaseExceptionGroup) else []
        queue += [cause for cause in (one.__cause__, one.__context__) if cause and cause not in found]
    return found[::-1]
