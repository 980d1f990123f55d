"""A conversation with registries: rights, retries, redirects, and plain HTTP where that is allowed.

Theory. `call()` is the one way to a registry. It goes on until there is an answer worth having: a 401 is
answered with rights, a broken connection and an overloaded server with patience (`backoff`). What it yields
is an answer below 400, or one that the caller said it can read; anything else is raised. Once the body is
being read a failure is the caller's: only it knows how to go on from where it was.

Not here: what the paths mean (`protocol`, `download`, `upload`).
"""

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, urlencode

import trio

from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry import challenges, sources
from lamina_runtime.registry.authorization import Authorizer, Rights
from lamina_runtime.registry.backoff import RETRIED, Backoff, retry_after
from lamina_runtime.registry.credentials import Credential
from lamina_runtime.registry.exchange import exchange, same_origin
from lamina_runtime.registry.failures import CertificateError, ProtocolError, TransferError, refusal
from lamina_runtime.registry.options import SessionOptions
from lamina_runtime.registry.ratelimit import RateLimit
from lamina_runtime.registry.sources import Host, Source
from lamina_runtime.registry.tokens import TokenClient
from lamina_runtime.registry.transport import Body, Reply, Request, Transport

MAX_CHALLENGES = 3
MAX_ERROR = 64 << 10
PROTECTED = frozenset({"authorization", "host", "content-length", "transfer-encoding", "connection", "range"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a registry: a path below /v2/, or an address that the registry gave us."""

    method: str
    path: str
    rights: Rights = field(default_factory=Rights)
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    readable: frozenset[int] = frozenset()  # statuses from 400 on that the caller understands
    patient: bool = True  # try again what failed; not for a body that goes on where another ended
    address: str = ""  # instead of path


class Session:
    """The state of one conversation.  Use as `async with`."""

    def __init__(self, options: SessionOptions, *, offline: bool = False) -> None:
        self.options, self._offline = options, offline
        self.transport = Transport(options)
        self._authorizers: dict[Host, Authorizer] = {}
        self._bases: dict[Host, str] = {}
        self._lock = trio.Lock()
        self._extra: dict[str, str] | None = None
        self.rate_limits: dict[str, RateLimit] = {}

    async def __aenter__(self) -> Self:
        await self.transport.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.transport.__aexit__(*exc)

    def sources(self, reference: Reference, *, push: bool = False) -> tuple[Source, ...]:
        """Return where a reference may be had, best first."""
        options = self.options
        return sources.plan(reference, options.configuration, tls_verify=options.tls_verify, push=push)

    def host(self, registry: str) -> Host:
        """Return the server of a registry."""
        return sources.host(registry, self.options.configuration, tls_verify=self.options.tls_verify)

    @contextlib.asynccontextmanager
    async def call(self, host: Host, call: Call, *, backoff: Backoff | None = None) -> AsyncIterator[Reply]:
        """Send `call` until there is an answer; yield it with its body unread."""
        async with contextlib.AsyncExitStack() as stack:
            yield await self._answer(stack, host, call, backoff or Backoff(self.options.retry))

    async def ask(self, host: Host, call: Call, *, limit: int) -> tuple[Reply, bytes]:
        """Send a small call and return the answer with its body."""
        backoff = Backoff(self.options.retry)
        with self._in_time(host.name):
            while True:
                async with self.call(host, call, backoff=backoff) as reply:
                    try:
                        return reply, await reply.read(limit)
                    except TransferError as exc:
                        failure = exc
                await self._pause(backoff, failure, patient=call.patient)

    async def base(self, host: Host) -> str:
        """Return scheme and authority of a host; finds out whether it speaks TLS where it need not."""
        if not host.may_be_plain:
            return f"https://{host.authority}"
        async with self._lock:
            if host not in self._bases:
                self._bases[host] = await self._probe(host)
            return self._bases[host]

    def authorizer(self, host: Host) -> Authorizer:
        """Return the authorization at a host."""
        if host not in self._authorizers:
            client = TokenClient(
                functools.partial(self._ask_elsewhere, host),
                functools.partial(self._find, host),
                offline=self._offline,
            )
            self._authorizers[host] = Authorizer(client, plain=host.may_be_plain)
        return self._authorizers[host]

    async def _answer(
        self, stack: contextlib.AsyncExitStack, host: Host, call: Call, backoff: Backoff
    ) -> Reply:
        authorizer = self.authorizer(host)
        url = call.address or await self._url(host, call)
        ours = same_origin(url, await self.base(host))
        refused = 0
        while True:
            authorization = await authorizer.header(call.rights) if ours else None
            attempt = contextlib.AsyncExitStack()
            try:
                reply = await attempt.enter_async_context(self._send(host, call, url, authorization))
            except TransferError as exc:
                await self._pause(backoff, exc, patient=call.patient)
                continue
            self._note(host, reply)
            if reply.status < 400 or (reply.status in call.readable and reply.status != 401):
                stack.push_async_exit(attempt.pop_all())
                return reply
            async with attempt:
                body = await self._error_body(reply)
            failure = refusal(f"{call.method} {host.name}/{call.path}", reply.status, body)
            if reply.status == 401 and ours and refused < MAX_CHALLENGES:
                refused += 1
                found = challenges.parse(reply.headers.all("www-authenticate"))
                if await authorizer.challenged(found, call.rights, sent=authorization, first=refused == 1):
                    continue
            if reply.status not in RETRIED or not call.patient:
                raise failure
            await self._pause(backoff, failure, retry_after(reply.headers.get("retry-after")))

    async def _pause(
        self, backoff: Backoff, failure: Exception, least: float | None = None, *, patient: bool = True
    ) -> None:
        """Wait before the next attempt, or raise the failure."""
        final = isinstance(failure, TransferError) and failure.final
        pause = backoff.wait(least) if patient and not final else None
        if pause is None:
            raise failure
        await trio.sleep(pause)

    @contextlib.asynccontextmanager
    async def _send(
        self, host: Host, call: Call, url: str, authorization: str | None
    ) -> AsyncIterator[Reply]:
        headers = {"User-Agent": self.options.user_agent, "Accept-Encoding": "identity"}
        if same_origin(url, await self.base(host)):
            headers |= await self._users_headers()
        headers |= call.headers
        if authorization:
            headers["Authorization"] = authorization
        request = Request(call.method, url, headers, call.body, insecure=host.insecure)
        async with exchange(self.transport, request, anywhere=self._anywhere) as reply:
            yield reply

    @property
    def _anywhere(self) -> bool:
        return self.options.tls_verify is False

    async def _url(self, host: Host, call: Call) -> str:
        path = quote(call.path, safe="/:@!$&'()*+,;=~")
        query = "?" + urlencode(call.query, quote_via=quote) if call.query else ""
        return f"{await self.base(host)}/v2/{path}{query}"

    async def _users_headers(self) -> dict[str, str]:
        if self._extra is None:
            found = await trio.to_thread.run_sync(self.options.credentials.headers)
            self._extra = {name: value for name, value in found.items() if name.lower() not in PROTECTED}
        return self._extra

    async def _probe(self, host: Host) -> str:
        """Ask for /v2/ by TLS, then without; a bad certificate is no reason for the latter."""
        secure, plain = f"https://{host.authority}", f"http://{host.authority}"
        try:
            await self._touch(host, secure)
        except CertificateError:
            raise
        except TransferError as failure:
            if await self._touches(host, plain):
                return plain
            raise failure from None
        return secure

    async def _touches(self, host: Host, base: str) -> bool:
        try:
            return await self._touch(host, base) != 400  # what servers of TLS say to plain HTTP
        except TransferError:
            return False

    async def _touch(self, host: Host, base: str) -> int:
        headers = {"User-Agent": self.options.user_agent}
        request = Request("GET", f"{base}/v2/", headers, insecure=host.insecure)
        with self._in_time(host.name):
            async with self.transport.send(request) as reply:
                return reply.status

    async def _error_body(self, reply: Reply) -> bytes:
        """Return what can be had of the body of a refusal; the status says enough without."""
        with (
            trio.move_on_after(self.options.timeouts.connect),
            contextlib.suppress(TransferError, ProtocolError),
        ):
            return await reply.read(MAX_ERROR)
        return b""

    async def _ask_elsewhere(
        self, host: Host, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> tuple[int, bytes]:
        """Ask a token server: as `ask`, without rights and with every status an answer."""
        backoff = Backoff(self.options.retry)
        request = Request(
            method,
            url,
            {"User-Agent": self.options.user_agent, **headers},
            body,
            insecure=self._anywhere or (host.insecure and same_origin(url, await self.base(host))),
        )
        while True:
            try:
                with self._in_time("token server"):
                    async with exchange(self.transport, request, anywhere=self._anywhere) as reply:
                        answer = await reply.read(1 << 20)
            except TransferError as exc:
                await self._pause(backoff, exc)
                continue
            pause = None
            if reply.status in RETRIED:
                pause = backoff.wait(retry_after(reply.headers.get("retry-after")))
            if pause is None:
                return reply.status, answer
            await trio.sleep(pause)

    def _find(self, host: Host, repository: str) -> Credential | None:
        given = None if host.mirror else self.options.credential
        return given or self.options.credentials.get(host.name, repository)

    def _note(self, host: Host, reply: Reply) -> None:
        found = RateLimit.of(reply.headers.get)
        if found:
            self.rate_limits[host.name] = found

    @contextlib.contextmanager
    def _in_time(self, who: str) -> Iterator[None]:
        seconds = self.options.timeouts.small
        try:
            with trio.fail_after(seconds):
                yield
        except trio.TooSlowError as exc:
            raise TransferError(f"{who}: no whole answer within {seconds:.0f} s", final=True) from exc
