"""Rights, retries and redirects, against servers that do what real ones seldom do."""

from __future__ import annotations

import contextlib
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry import protocol
from lamina_runtime.registry.authorization import Rights
from lamina_runtime.registry.backoff import RetryPolicy
from lamina_runtime.registry.configuration import Configuration, Mirror, Rule
from lamina_runtime.registry.credentials import Credential
from lamina_runtime.registry.exchange import redirected
from lamina_runtime.registry.failures import (
    CertificateError,
    MissingError,
    ProtocolError,
    RegistryError,
    TransferError,
    UnauthorizedError,
)
from lamina_runtime.registry.options import Timeouts
from lamina_runtime.registry.session import Call, Session
from lamina_runtime.registry.transport import Request

from tests.registry.harness import document, failure, options, problem, run, source
from tests.support import certificates
from tests.support.scripted import Answer, Handler, Seen, Server, serving

OK = Answer(200, {}, b"ok")


def asking(tmp_path: Path, handler: Handler, **changes: Any) -> tuple[bytes, Server]:
    """Ask a scripted server for /v2/thing and return the body and what was seen."""

    async def work() -> tuple[bytes, Server]:
        async with serving(handler) as server, Session(options(tmp_path, **changes)) as session:
            host = session.host(server.host)
            _, body = await session.ask(host, Call("GET", "thing", Rights.to("a/b", "pull")), limit=1000)
            return body, server

    try:
        return run(work)
    except BaseExceptionGroup as group:
        raise failure(group) from None


class Bearer:
    """A registry and its token server in one; tokens are numbered, `good` says which are taken."""

    def __init__(self, good: Any = lambda token: True, **token: Any) -> None:
        self.port, self.good, self.token, self.given = 0, good, token, 0
        self.challenge = 'Bearer realm="http://127.0.0.1:%d/token",service="s",scope="repository:a/b:pull"'

    def __call__(self, seen: Seen) -> Answer:
        if seen.path == "/token":
            self.given += 1
            return document({"token": f"t{self.given}", **self.token})
        self.port = int(seen.headers["host"].rpartition(":")[2])
        sent = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if sent and self.good(sent):
            return OK
        return problem(401, "UNAUTHORIZED", WWW_Authenticate=self.challenge % self.port)


def test_a_token_is_fetched_once_and_used_again(tmp_path: Path) -> None:
    handler = Bearer()

    async def work() -> Server:
        async with serving(handler) as server, Session(options(tmp_path)) as session:
            call = Call("GET", "thing", Rights.to("a/b", "pull"))
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(session_ask, session, server, call)
            await session_ask(session, server, call)
        return server

    async def session_ask(session: Session, server: Server, call: Call) -> None:
        await session.ask(session.host(server.host), call, limit=1000)

    server = run(work)
    assert handler.given == 1
    (token,) = [seen for seen in server.seen if seen.path == "/token"]
    assert token.query == {"service": ["s"], "scope": ["repository:a/b:pull"]}
    assert "authorization" not in token.headers


def test_other_rights_are_another_token(tmp_path: Path) -> None:
    handler = Bearer()

    async def work() -> Server:
        async with serving(handler) as server, Session(options(tmp_path)) as session:
            for actions in ("pull", "pull,push", "pull"):
                rights = Rights.to("a/b", actions, read_from=["c/d"])
                await session.ask(session.host(server.host), Call("GET", "thing", rights), limit=1000)
        return server

    server = run(work)
    asked = [seen.query["scope"] for seen in server.seen if seen.path == "/token"]
    assert asked == [
        ["repository:a/b:pull", "repository:c/d:pull"],
        ["repository:a/b:pull,push", "repository:c/d:pull"],
    ]


def test_the_challenges_scope_is_asked_for_too(tmp_path: Path) -> None:
    handler = Bearer()
    handler.challenge = handler.challenge.replace("a/b:pull", "a/b:pull repository:base:pull")
    _, server = asking(tmp_path, handler)
    (token,) = [seen for seen in server.seen if seen.path == "/token"]
    assert token.query["scope"] == ["repository:a/b:pull", "repository:base:pull"]


def test_a_token_that_is_too_old_is_replaced(tmp_path: Path) -> None:
    taken: list[str] = []

    def good(token: str) -> bool:
        taken.append(token)
        return len(taken) == 1 or token == "t2"

    handler = Bearer(good)

    async def work() -> None:
        async with serving(handler) as server, Session(options(tmp_path)) as session:
            for _ in range(2):
                call = Call("GET", "thing", Rights.to("a/b", "pull"))
                await session.ask(session.host(server.host), call, limit=1000)

    run(work)
    assert handler.given == 2


def test_tokens_end_before_they_expire(tmp_path: Path) -> None:
    handler = Bearer(expires_in=100)

    async def work() -> None:
        async with serving(handler) as server, Session(options(tmp_path)) as session:
            call = Call("GET", "thing", Rights.to("a/b", "pull"))
            clock = [0.0]
            trio_time, trio.current_time = trio.current_time, lambda: trio_time() + clock[0]
            try:
                for jump in (0, 90, 10):
                    clock[0] += jump
                    await session.ask(session.host(server.host), call, limit=1000)
            finally:
                trio.current_time = trio_time

    run(work)
    assert handler.given == 2


def test_refused_with_a_token_is_final(tmp_path: Path) -> None:
    handler = Bearer(good=lambda token: False)
    with pytest.raises(UnauthorizedError, match="authentication required"):
        asking(tmp_path, handler)
    assert handler.given == 1


@pytest.mark.parametrize(
    "answer", [{}, {"token": ""}, {"token": "a b"}, {"token": "a\nb"}, {"token": 5}, [], "x"]
)
def test_token_servers_that_talk_nonsense(tmp_path: Path, answer: Any) -> None:
    handler = Bearer()

    def nonsense(seen: Seen) -> Answer:
        return document(answer) if seen.path == "/token" else handler(seen)

    with pytest.raises(ProtocolError, match=r"token from 127\.0\.0\.1"):
        asking(tmp_path, nonsense)


@pytest.mark.parametrize("lifetime", [0, -5, 10**15, None])
def test_lifetimes_are_taken_with_salt(tmp_path: Path, lifetime: int | None) -> None:
    assert asking(tmp_path, Bearer(expires_in=lifetime))[0] == b"ok"


def test_passwords_do_not_go_to_a_realm_without_tls(tmp_path: Path) -> None:
    ca = certificates.authority(tmp_path / "ca")
    pair = certificates.issue(ca, "server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    handler = Bearer()

    async def work() -> Server:
        credential = Credential("ann", "secret")
        settings = options(tmp_path, certificate_dir=tmp_path / "ca-only", credential=credential)
        async with serving(handler, context=context) as server, Session(settings) as session:
            host = session.host(server.host)
            assert not host.insecure
            session.authorizer(host)._plain = False  # as if it were not on this machine
            with pytest.raises(ProtocolError, match="without TLS"):
                await session.ask(host, Call("GET", "thing"), limit=1000)
            return server

    (tmp_path / "ca-only").mkdir()
    (tmp_path / "ca-only/ca.crt").write_bytes(ca.certificate.read_bytes())
    assert not [seen for seen in run(work).seen if seen.path == "/token"]


def test_basic_only_after_a_challenge_and_then_always(tmp_path: Path) -> None:
    def handler(seen: Seen) -> Answer:
        if seen.headers.get("authorization") == "Basic YW5uOnNlY3JldA==":
            return OK
        return problem(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')

    body, server = asking(tmp_path, handler, credential=Credential("ann", "secret"))
    assert body == b"ok"
    assert ["authorization" in seen.headers for seen in server.seen] == [False, False, True]
    with pytest.raises(UnauthorizedError):
        asking(tmp_path, handler, credential=Credential("ann", "wrong"))
    with pytest.raises(UnauthorizedError):
        asking(tmp_path, handler)


def test_a_registry_token_is_sent_as_it_is(tmp_path: Path) -> None:
    _, server = asking(tmp_path, lambda _: OK, credential=Credential(registry_token="rt"))
    assert server.seen[-1].headers["authorization"] == "Bearer rt"


def test_identity_tokens_go_by_post(tmp_path: Path) -> None:
    handler = Bearer()
    _, server = asking(tmp_path, handler, credential=Credential("ann", identity_token="idt"))
    (token,) = [seen for seen in server.seen if seen.path == "/token"]
    assert token.method == "POST"
    assert b"grant_type=refresh_token" in token.body
    assert b"refresh_token=idt" in token.body


@pytest.mark.parametrize("status", [404, 405])
def test_passwords_go_by_post_where_there_is_no_get(tmp_path: Path, status: int) -> None:
    handler = Bearer()

    def no_get(seen: Seen) -> Answer:
        if seen.path == "/token" and seen.method == "GET":
            return Answer(status)
        return handler(seen)

    _, server = asking(tmp_path, no_get, credential=Credential("ann", "secret"))
    get, post = [seen for seen in server.seen if seen.path == "/token"]
    assert get.headers["authorization"].startswith("Basic ")
    assert b"grant_type=password" in post.body
    assert b"password=secret" in post.body


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_overloaded_servers_are_asked_again(tmp_path: Path, status: int) -> None:
    left = [3]

    def handler(seen: Seen) -> Answer:
        if seen.path == "/v2/":
            return OK
        left[0] -= 1
        return OK if left[0] == 0 else problem(status, "TOOMANYREQUESTS")

    assert asking(tmp_path, handler)[0] == b"ok"
    left[0] = 100
    with pytest.raises(RegistryError) as caught:
        asking(tmp_path, handler)
    assert caught.value.status == status
    assert left[0] == 96  # four attempts


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    times = []

    def handler(seen: Seen) -> Answer:
        if seen.path != "/v2/":
            times.append(trio.current_time())
        busy = seen.path != "/v2/" and len(times) == 1
        return problem(429, "TOOMANYREQUESTS", Retry_After="1") if busy else OK

    asking(tmp_path, handler)
    assert times[1] - times[0] >= 1


def test_retry_after_beyond_our_budget_is_said_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(RegistryError, match="too many requests"):
        asking(tmp_path, lambda seen: OK if seen.path == "/v2/" else problem(429, "X", Retry_After="3600"))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [400, 403, 404, 405, 416])
def test_refusals_are_not_repeated(tmp_path: Path, status: int) -> None:
    count = [0]

    def handler(seen: Seen) -> Answer:
        count[0] += seen.path != "/v2/"
        return OK if seen.path == "/v2/" else problem(status, "DENIED")

    with pytest.raises(RegistryError, match=r"v2|thing") as caught:
        asking(tmp_path, handler)
    assert caught.value.details == "DENIED: it is denied"
    assert isinstance(caught.value, MissingError) is (status == 404)
    assert count == [1]


def test_broken_connections_are_tried_again(tmp_path: Path) -> None:
    left = [2]

    def handler(seen: Seen) -> Answer:
        left[0] -= seen.path != "/v2/"
        return OK if left[0] <= 0 or seen.path == "/v2/" else Answer(cut=-1)

    assert asking(tmp_path, handler)[0] == b"ok"


def test_silence_ends(tmp_path: Path) -> None:
    def handler(seen: Seen) -> Answer:
        return OK if seen.path == "/v2/" else Answer(delay=30)

    quick = {
        "timeouts": Timeouts(connect=1, silence=0.2, small=5),
        "retry": RetryPolicy(attempts=2, step=0.01),
    }
    with pytest.raises(TransferError, match="no answer in time"):
        asking(tmp_path, handler, **quick)


def test_slow_drips_end(tmp_path: Path) -> None:
    async def work() -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]

        async def drip(stream: trio.SocketStream) -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while True:
                    await stream.send_all(b"x")
                    await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, drip, listeners)
            settings = options(tmp_path, timeouts=Timeouts(connect=1, silence=1, small=1))
            async with Session(settings) as session:
                with pytest.raises(TransferError, match="no whole answer within 1 s"):
                    await session.ask(session.host(f"127.0.0.1:{port}"), Call("GET", "thing"), limit=10**7)
            nursery.cancel_scope.cancel()

    run(work)


def test_answers_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="more than 1000 bytes"):
        asking(tmp_path, lambda _: Answer(200, {}, b"x" * 1001))
    with pytest.raises(TransferError):
        asking(tmp_path, lambda seen: OK if seen.path == "/v2/" else Answer(200, {"X": "y" * 300_000}))


def test_redirects_elsewhere_go_without_our_rights(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"HttpHeaders": {"X-Secret": "s"}}')

    async def work() -> tuple[Server, Server]:
        async with serving(lambda _: OK) as other:

            def handler(seen: Seen) -> Answer:
                if "authorization" not in seen.headers:
                    return problem(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')
                if seen.path == "/v2/thing":
                    return Answer(307, {"Location": "/v2/here"})
                return Answer(307, {"Location": f"{other.url}/signed?key=1"})

            settings = options(tmp_path, credential=Credential("ann", "secret"))
            async with serving(handler) as server, Session(settings) as session:
                call = Call("GET", "thing", headers={"Range": "bytes=5-", "Accept": "x/y"})
                _, body = await session.ask(session.host(server.host), call, limit=100)
                assert body == b"ok"
                return server, other

    server, other = run(work)
    assert server.seen[-1].path == "/v2/here"
    assert server.seen[-1].headers["authorization"].startswith("Basic")
    assert server.seen[-1].headers["x-secret"] == "s"
    (seen,) = other.seen
    assert seen.query == {"key": ["1"]}
    assert "authorization" not in seen.headers
    assert "x-secret" not in seen.headers
    assert (seen.headers["range"], seen.headers["accept"]) == ("bytes=5-", "x/y")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/v2/thing", "more than 10 redirects"),
        ("ftp://h/x", "not an HTTP address"),
        ("http://u:p@h/", "not an HTTP"),
        ("http://h:99999/", "not an address"),
        ("http://[::1/", "not an address"),
        ("/" + "x" * 20_000, "address that is none"),
    ],
)
def test_redirects_that_lead_nowhere(tmp_path: Path, location: str, said: str) -> None:
    def handler(seen: Seen) -> Answer:
        return OK if seen.path == "/v2/" else Answer(302, {"Location": location})

    with pytest.raises(ProtocolError, match=said):
        asking(tmp_path, handler)


def test_redirects_never_leave_tls() -> None:
    secure = Request("GET", "https://r.example/v2/x", {"Authorization": "Basic x", "Accept": "y"})
    with pytest.raises(ProtocolError, match=r"from https to http://r.example/v2/x"):
        redirected(secure, "http://r.example/v2/x")
    assert redirected(secure, "https://r.example:443/z").headers == secure.headers
    for elsewhere in ("https://r.example:444/z", "https://s.example/z", "//r.example.evil/z"):
        assert redirected(secure, elsewhere).headers == {"Accept": "y"}
    insecure = Request("GET", "http://r.example/v2/x", {}, insecure=True)
    assert not redirected(insecure, "https://s.example/").insecure
    assert redirected(insecure, "https://s.example/", anywhere=True).insecure


def test_posts_are_not_turned_into_gets(tmp_path: Path) -> None:
    async def work() -> list[str]:
        def handler(seen: Seen) -> Answer:
            return OK if seen.path == "/v2/" else Answer(302, {"Location": "/v2/elsewhere"})

        async with serving(handler) as server, Session(options(tmp_path)) as session:
            call = Call("POST", "thing", headers={"Content-Length": "0"})
            reply, _ = await session.ask(session.host(server.host), call, limit=100)
            assert reply.status == 302
            return server.asked()

    assert run(work) == ["POST /v2/thing"]


def test_untrusted_certificates_are_no_reason_for_plain_http(tmp_path: Path) -> None:
    pair = certificates.issue(certificates.authority(tmp_path / "ca"), "server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)

    async def ask(**changes: Any) -> Server:
        async with (
            serving(lambda _: OK, context=context) as server,
            Session(options(tmp_path, **changes)) as session,
        ):
            await session.ask(session.host(server.host), Call("GET", "thing"), limit=100)
            return server

    async def refused() -> None:
        with pytest.raises(BaseExceptionGroup) as caught:
            await ask()
        assert isinstance(failure(caught.value), CertificateError)

    async def not_verified() -> Server:
        return await ask(tls_verify=False)

    run(refused)
    assert run(not_verified).asked() == ["GET /v2/thing"]


def test_unreachable_registries_fail_at_once(tmp_path: Path) -> None:
    async def work(host: str) -> None:
        async with Session(options(tmp_path)) as session:
            await protocol.tags(session, source(session, host))

    async def refused() -> None:
        with trio.socket.socket() as listener:
            await listener.bind(("127.0.0.1", 0))
            with pytest.raises(TransferError, match="connection refused"):
                await work(f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TransferError, match="unknown host"):
            await work("nowhere.invalid")

    run(refused)


def test_rate_limits_are_kept(tmp_path: Path) -> None:
    async def work() -> None:
        limits = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "7;w=21600"}
        async with serving(lambda _: Answer(200, limits)) as server, Session(options(tmp_path)) as session:
            await session.ask(session.host(server.host), Call("GET", "thing"), limit=100)
            assert session.rate_limits[server.host].remaining == 7

    run(work)


def test_a_proxy_is_used(tmp_path: Path) -> None:
    async def work() -> Server:
        async with serving(lambda _: OK) as proxy:
            environment = {
                "http_proxy": f"http://us%3Aer:word@{proxy.host}",
                "https_proxy": f"http://{proxy.host}",
            }
            settings = options(tmp_path, environment=environment, tls_verify=False)
            async with Session(settings) as session:
                host = session.host("r.invalid")
                session._bases[host] = "http://r.invalid"
                await session.ask(host, Call("GET", "thing"), limit=100)
                return proxy

    (seen,) = run(work).seen
    assert seen.headers["host"] == "r.invalid"
    assert seen.headers["proxy-authorization"] == "Basic dXM6ZXI6d29yZA=="


def test_tls_goes_through_a_proxy_by_connect(tmp_path: Path) -> None:
    ca = certificates.authority(tmp_path / "ca")
    pair = certificates.issue(ca, "server", names="DNS:r.invalid")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted/ca.crt").write_bytes(ca.certificate.read_bytes())
    heads: list[bytes] = []

    async def work() -> Server:
        async with serving(lambda _: OK, context=context) as server:

            async def tunnel(client: trio.SocketStream) -> None:
                heads.append(await client.receive_some(65536))
                await client.send_all(b"HTTP/1.1 200 Connected\r\n\r\n")
                async with client, await trio.open_tcp_stream("127.0.0.1", server.port) as through:
                    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                        async with trio.open_nursery() as nursery:
                            nursery.start_soon(pump, client, through)
                            await pump(through, client)
                            nursery.cancel_scope.cancel()

            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listeners[0].socket.getsockname()[1]
            environment = {"HTTPS_PROXY": f"http://ann:word@127.0.0.1:{port}"}
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, tunnel, listeners)
                settings = options(tmp_path, environment=environment, certificate_dir=tmp_path / "trusted")
                async with Session(settings) as session:
                    await session.ask(session.host("r.invalid"), Call("GET", "thing"), limit=100)
                nursery.cancel_scope.cancel()
            return server

    async def pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(65536):
                await target.send_all(data)

    (seen,) = run(work).seen
    assert (seen.path, seen.headers["host"]) == ("/v2/thing", "r.invalid")
    assert "proxy-authorization" not in seen.headers
    assert heads[0].startswith(b"CONNECT r.invalid:443 HTTP/1.1")
    assert b"Basic YW5uOndvcmQ=" in heads[0]


def test_a_mirror_does_not_get_the_registrys_password(tmp_path: Path) -> None:
    def guarded(seen: Seen) -> Answer:
        if "authorization" in seen.headers:
            return document({"tags": ["a"]})
        return problem(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')

    async def work() -> tuple[Server, Server]:
        async with serving(guarded) as mirror, serving(guarded) as origin:
            rule = Rule("r.invalid", origin.host, mirrors=(Mirror(mirror.host),))
            settings = options(
                tmp_path, credential=Credential("ann", "secret"), configuration=Configuration((rule,))
            )
            async with Session(settings) as session:
                first, last = session.sources(Reference.parse("r.invalid/a/b"))
                with pytest.raises(UnauthorizedError):
                    await protocol.tags(session, first)
                assert await protocol.tags(session, last) == ["a"]
            return mirror, origin

    mirror, origin = run(work)
    assert not any("authorization" in seen.headers for seen in mirror.seen)
    assert any("authorization" in seen.headers for seen in origin.seen)
