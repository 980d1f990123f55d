"""Challenges, backoff, proxies, failures, rate limits: decisions without I/O."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import httpcore
import pytest
from lamina_runtime.errors import UsageError
from lamina_runtime.registry import challenges, failures
from lamina_runtime.registry.backoff import Backoff, RetryPolicy, retry_after
from lamina_runtime.registry.challenges import Challenge
from lamina_runtime.registry.protocol import next_link
from lamina_runtime.registry.proxies import is_loopback, proxy_for
from lamina_runtime.registry.ratelimit import RateLimit
from lamina_runtime.registry.transport import explain, shown

BEARER = Challenge("bearer", {"realm": "https://auth.example/token", "service": "r"})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (['Bearer realm="https://auth.example/token",service="r"'], [BEARER]),
        (['Bearer  realm = "https://auth.example/token" , service=r'], [BEARER]),
        (
            ['Basic realm="x", Bearer realm="https://auth.example/token",service="r"'],
            [Challenge("basic", {"realm": "x"}), BEARER],
        ),
        (['Basic realm="x"', "Negotiate"], [Challenge("basic", {"realm": "x"}), Challenge("negotiate", {})]),
        (
            ['Bearer scope="repository:a/b:pull,push repository:c:pull",error="invalid_token"'],
            [
                Challenge(
                    "bearer",
                    {"scope": "repository:a/b:pull,push repository:c:pull", "error": "invalid_token"},
                )
            ],
        ),
        (
            ['BASIC realm="with \\"quotes\\" and, commas"'],
            [Challenge("basic", {"realm": 'with "quotes" and, commas'})],
        ),
        (
            ['Negotiate abcdef, Basic realm="x"'],
            [Challenge("negotiate", {}), Challenge("basic", {"realm": "x"})],
        ),
        (['Bearer realm="a",realm="b"'], [Challenge("bearer", {"realm": "a"})]),
        ([""], []),
        ([",,,"], []),
        (["\x00\x01"], []),
        (['realm="without a scheme"'], []),
    ],
)
def test_challenges(headers: list[str], expected: list[Challenge]) -> None:
    assert list(challenges.parse(headers)) == expected


def test_challenges_are_bounded() -> None:
    many = ", ".join(f"Scheme{number} a=b" for number in range(1000))
    assert len(challenges.parse([many] * 50)) == challenges.MAX_CHALLENGES
    huge = "Bearer " + ",".join(f'p{number}="x"' for number in range(100_000))
    (found, *_) = challenges.parse([huge])
    assert len(found.parameters) <= challenges.MAX_PARAMETERS
    assert challenges.parse(['Bearer realm="' + "\\" * 100_000]) is not None


def test_backoff_grows_with_jitter_and_ends() -> None:
    policy = RetryPolicy(attempts=5, step=1, longest=4, budget=100)
    waits = [Backoff(policy, chance=random.Random(seed)) for seed in range(50)]
    rows = [[backoff.wait() for _ in range(5)] for backoff in waits]
    for row in rows:
        assert row[-1] is None
        assert all(0 < pause <= limit for pause, limit in zip(row, [1, 2, 4, 4], strict=False) if pause)
    assert len({row[0] for row in rows}) > 40


def test_backoff_honours_retry_after_within_its_budget() -> None:
    backoff = Backoff(RetryPolicy(attempts=10, step=0.1, longest=1, budget=30))
    assert backoff.wait(20) == 20
    assert backoff.wait(20) is None
    assert Backoff(RetryPolicy(budget=30)).wait(31) is None


def test_progress_renews_patience_but_not_the_budget() -> None:
    backoff = Backoff(RetryPolicy(attempts=2, step=1, longest=1, budget=3))
    spent = 0.0
    for _ in range(1000):
        pause = backoff.wait()
        if pause is None:
            break
        spent += pause
        backoff.progressed()
    assert 2 < spent <= 3


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 7 ", 7),
        ("soon", None),
        ("-3", None),
        ("9" * 40, 999_999_999),
        ("Mon, 01 Jan 2024 00:00:30 GMT", 30),
        ("Mon, 01 Jan 2023 00:00:30 GMT", 0),
        ("٣", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=datetime(2024, 1, 1, tzinfo=UTC)) == seconds


def test_retry_after_date_is_relative_to_now() -> None:
    when = datetime.now(UTC) + timedelta(seconds=100)
    seconds = retry_after(when.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert seconds is not None
    assert 95 < seconds <= 100


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        ("*", True),
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("ample.com", False),
        ("other, r.example.com", True),
        ("r.example.com:443", True),
        ("r.example.com:444", False),
        ("EXAMPLE.COM", True),
        (",,", False),
    ],
)
def test_no_proxy(no_proxy: str, direct: bool) -> None:
    environment = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy}
    assert (proxy_for("https://r.example.com/v2/", environment) is None) is direct


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("10.0.0.0/8", True),
        ("10.1.2.3", True),
        ("10.1.2.4", False),
        ("10.1.2.3:5000", True),
        ("11.0.0.0/8", False),
    ],
)
def test_no_proxy_of_addresses(no_proxy: str, direct: bool) -> None:
    environment = {"http_proxy": "http://proxy:3128", "no_proxy": no_proxy}
    assert (proxy_for("http://10.1.2.3:5000/v2/", environment) is None) is direct


def test_proxy_choice() -> None:
    environment = {"HTTP_PROXY": "p1:1", "https_proxy": "http://u:p@p2:2", "HTTPS_PROXY": "http://p3:3"}
    plain, secure = proxy_for("http://a.b/", environment), proxy_for("https://a.b/", environment)
    assert plain is not None
    assert secure is not None
    assert (plain.netloc, secure.netloc) == ("p1:1", "u:p@p2:2")
    for local in ("http://localhost:5000/", "http://127.0.0.9/", "http://[::1]:5000/", "http://a.localhost/"):
        assert proxy_for(local, environment) is None
    with pytest.raises(UsageError, match="socks5://p"):
        proxy_for("http://a.b/", {"ALL_PROXY": "socks5://secret:word@p:1080"})


def test_loopback() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.9.1", "::1", "x.localhost"]))
    assert not any(map(is_loopback, ["localhost.example", "128.0.0.1", "10.0.0.1", "mylocalhost", ""]))


def test_refusals_say_what_the_registry_said() -> None:
    body = b'{"errors":[{"code":"DENIED","message":"no \\u001b[31mred\\n"},{"code":"X"}, 5]}'
    failure = failures.refusal("GET a/b", 403, body)
    assert isinstance(failure, failures.UnauthorizedError)
    assert failure.details == "DENIED: no  [31mred\nX"
    assert failures.refusal("x", 404, b"").exit_code == 3
    assert failures.refusal("x", 500, b"<html>").exit_code == 5
    assert failures.problems(b"[" * 100_000) == ()
    assert failures.problems(b'{"errors": {"code": 1}}') == ()
    assert len(failures.problems(b'{"errors":[' + b'{"code":"A"},' * 500 + b"{}]}")) == failures.MAX_ERRORS


def test_rate_limits() -> None:
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}
    assert RateLimit.of(headers.get) == RateLimit(100, 76, 21600)
    assert RateLimit.of({}.get) is None
    assert RateLimit.of({"ratelimit-remaining": "many"}.get) is None
    assert RateLimit.of({"ratelimit-remaining": "3"}.get) == RateLimit(0, 3, 0)


@pytest.mark.parametrize(
    ("values", "target"),
    [
        (['</v2/a/tags/list?n=2&last=b>; rel="next"'], "/v2/a/tags/list?n=2&last=b"),
        (['<a>; rel="prev", <b>; title="x"; rel=next'], "b"),
        (['<a>; rel="first next"'], "a"),
        (["<a>; rel=prev"], None),
        ([""], None),
        (['<a>; rel="nextish"'], None),
        (["<" * 50_000], None),
    ],
)
def test_links(values: list[str], target: str | None) -> None:
    assert next_link(values) == target


def test_connection_failures_are_said_in_words() -> None:
    refused = httpcore.ConnectError("x")
    refused.__cause__ = OSError("all attempts failed")
    refused.__cause__.__cause__ = ConnectionRefusedError(111, "Connection refused")
    assert explain("h:1", refused).brief == "h:1: connection refused"
    assert explain("h:1", refused).final
    assert explain("h", httpcore.ReadTimeout()).brief == "h: no answer in time"
    reset = httpcore.ReadError("x")
    reset.__cause__ = ConnectionResetError(104, "Connection reset by peer")
    assert not explain("h", reset).final


def test_addresses_are_shown_without_secrets() -> None:
    assert shown("https://user:word@h/p?signature=secret") == "https://h/p"
