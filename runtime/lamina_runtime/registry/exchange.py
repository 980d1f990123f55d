"""An exchange and the redirects it leads through.

Theory. Registries send readers of blobs elsewhere, with an address that is a right in itself. Our own
rights stay at home: Authorization and every other header of the user's goes only to the host, scheme and
port that it was meant for (CVE-2018-18074 and its kin). TLS is not left, methods are not changed, and there
is a limit.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from lamina_runtime.registry.failures import ProtocolError
from lamina_runtime.registry.transport import Reply, Request, Transport, shown

MAX_REDIRECTS = 10
MAX_ADDRESS = 16 << 10
KEPT_ELSEWHERE = frozenset(
    {"accept", "accept-encoding", "content-length", "content-type", "range", "user-agent"}
)
_ANY_METHOD = frozenset({307, 308})
_READERS_ONLY = frozenset({301, 302, 303})


@contextlib.asynccontextmanager
async def exchange(transport: Transport, request: Request, *, anywhere: bool = False) -> AsyncIterator[Reply]:
    """Send a request and follow redirects; `anywhere` extends `insecure` to other hosts."""
    for _ in range(MAX_REDIRECTS + 1):
        async with transport.send(request) as reply:
            location = reply.headers.get("location")
            if location is None or not _redirects(reply.status, request.method):
                yield reply
                return
        request = redirected(request, location, anywhere=anywhere)
    raise ProtocolError(f"{shown(request.url)}: more than {MAX_REDIRECTS} redirects")


def _redirects(status: int, method: str) -> bool:
    return status in _ANY_METHOD or (status in _READERS_ONLY and method in {"GET", "HEAD"})


def redirected(request: Request, location: str, *, anywhere: bool = False) -> Request:
    """Return the request to send to `location`."""
    url = resolve(request.url, location, insecure=request.insecure)
    if same_origin(url, request.url):
        return replace(request, url=url)
    kept = {name: value for name, value in request.headers.items() if name.lower() in KEPT_ELSEWHERE}
    return replace(request, url=url, headers=kept, insecure=request.insecure and anywhere)


def resolve(base: str, location: str, *, insecure: bool) -> str:
    """Return the absolute address that `location` means in an answer from `base`."""
    if len(location) > MAX_ADDRESS or not location.isascii() or not location.isprintable():
        raise ProtocolError(f"{shown(base)}: sent us to an address that is none")
    try:
        url = urljoin(base, location).partition("#")[0]
    except ValueError as exc:
        raise ProtocolError(f"{shown(base)}: sent us to what is not an address") from exc
    origin(url)  # also refuses what is not HTTP
    if urlsplit(base).scheme == "https" and urlsplit(url).scheme != "https" and not insecure:
        raise ProtocolError(f"{shown(base)}: sent us from https to {shown(url)}")
    return url


def same_origin(one: str, other: str) -> bool:
    """Say whether two addresses have scheme, host and port in common."""
    return origin(one) == origin(other)


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ProtocolError(f"{url[:200]!r}: not an address") from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ProtocolError(f"{shown(url)}: not an HTTP address")
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)
