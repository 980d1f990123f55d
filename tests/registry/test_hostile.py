"""Any header that a server may send: an answer or a refusal by name, in time that grows with its length."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lamina_runtime.errors import LaminaError
from lamina_runtime.registry import challenges, failures
from lamina_runtime.registry.backoff import retry_after
from lamina_runtime.registry.exchange import origin, redirected, resolve
from lamina_runtime.registry.protocol import next_link
from lamina_runtime.registry.proxies import proxy_for
from lamina_runtime.registry.ratelimit import RateLimit
from lamina_runtime.registry.transport import Request, shown

TEXT = st.text(max_size=200) | st.text(
    alphabet='<>;=", \\relnxtBasicwrm://[]@:%?#.0159\t\r\n\0', max_size=200
)


@given(st.lists(TEXT, max_size=4))
def test_challenges_have_lower_case_names(headers: list[str]) -> None:
    for found in challenges.parse(headers):
        assert found.scheme == found.scheme.lower()
        assert all(name == name.lower() for name in found.parameters)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        st.text(alphabet='ab ,="\\;', max_size=20),
        max_size=challenges.MAX_PARAMETERS,
    )
)
def test_quoted_values_survive(parameters: dict[str, str]) -> None:
    quoted = (f'{name}="{value.translate({34: chr(92) + chr(34), 92: chr(92) * 2})}"'
              for name, value in parameters.items())  # fmt: skip
    (found,) = challenges.parse(["Bearer " + ", ".join(quoted)])
    assert found.parameters == parameters


@given(TEXT)
@example("http://[::1/")
@example("https://r.example\\@evil.example/")
@example("//evil.example:99999999999999999999/")
@example("HTTPS://R.EXAMPLE/v2/")
def test_addresses_are_taken_or_refused(location: str) -> None:
    request = Request("GET", "https://r.example/v2/x", {"Authorization": "Basic x"})
    try:
        found = redirected(request, location)
    except LaminaError:
        return
    scheme, host, port = origin(found.url)
    assert scheme == "https"
    assert ("Authorization" in found.headers) == ((host, port) == ("r.example", 443))
    assert found.url.isascii()
    assert found.url.isprintable()


@given(TEXT)
def test_small_parsers_do_not_fail(text: str) -> None:
    next_link([text])
    retry_after(text)
    RateLimit.of(lambda _: text)
    assert failures.printable(text).isprintable()
    assert all(
        problem.message.isprintable() for problem in failures.problems(text.encode("utf-8", "replace"))
    )


@given(TEXT)
def test_no_proxy_does_not_fail(text: str) -> None:
    proxy_for("https://r.example:5000/", {"https_proxy": "http://p", "no_proxy": text})


LONG = [
    "<" * 16_000, "<>" * 8_000, "<a>;" * 4_000, '<a>; rel="' + " next" * 3_000, "<a>" + ";rel=" * 3_000,
    "a=" * 8_000, '"\\' * 8_000, "Bearer " * 2_000, "," * 16_000, "a b c " * 2_500,
]  # fmt: skip


@pytest.mark.parametrize("text", LONG)
def test_long_headers_take_little_time(text: str) -> None:
    began = time.process_time()
    challenges.parse([text] * 8)
    next_link([text] * 8)
    RateLimit.of(lambda _: text)
    retry_after(text)
    assert time.process_time() - began < 1


def test_addresses_in_messages_are_short() -> None:
    assert len(shown("https://h/" + "x" * 100_000)) <= failures.MAX_TEXT
    with pytest.raises(LaminaError):
        resolve("https://h/", "x" * 100_000, insecure=False)
