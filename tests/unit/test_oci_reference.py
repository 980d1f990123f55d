"""References and digests: docker's habits, the specification's limits."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_runtime.oci.digest import Digest, chain_id
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.reference import Reference

A = "a" * 64
B = "b" * 128


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
        ("a.b/x", "a.b/x:latest", "a.b/x:latest"),
        ("quay.io/a/b__c-d.e", "quay.io/a/b__c-d.e:latest", "quay.io/a/b__c-d.e:latest"),
        ("HOST/x", "HOST/x:latest", "HOST/x:latest"),
        (f"{'a' * 63}.b:65535/x", f"{'a' * 63}.b:65535/x:latest", f"{'a' * 63}.b:65535/x:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        (f"debian@sha256:{A}", f"docker.io/library/debian@sha256:{A}", f"debian@sha256:{A}"),
        (f"a.b/x:1@sha512:{B}", f"a.b/x:1@sha512:{B}", f"a.b/x:1@sha512:{B}"),
        ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, "x:" + "t" * 128),
    ],
)
def test_a_reference_reads_as_docker_reads_it(text: str, full: str, familiar: str) -> None:
    got = Reference.parse(text)
    assert (str(got), got.familiar) == (full, familiar)
    assert Reference.parse(full) == got == Reference.parse(familiar)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "@",
        "debian:",
        "debian@",
        "Debian",
        "a.b/Debian",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a b",
        "a\n",
        "debian:.x",
        "debian:" + "t" * 129,
        f"debian@sha256:{A[1:]}",
        f"debian@sha256:{A.upper()}",
        "debian@md5:" + "a" * 32,
        A,
        "a.b:port/x",
        "a.b:/x",
        "-a.b/x",
        "a_b.c/x",
        "x" * 256,
        "é",
        "../x",
        "a/../b",
        f"debian@sha256:{A}@sha256:{A}",
        "x" * 5000,
        "http://a.b/c",
        "a.b:65536/x",
        "a.b:" + "0" * 6 + "/x",
        "a" * 64 + ".b/x",
        "a..b/x",
        "[::::]/x",
        "[::1]:99999/x",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(OciError) as caught:
        Reference.parse(text)
    assert "\n" not in str(caught.value)


def test_a_name_may_have_255_characters() -> None:
    longest = "a.b/" + "c" * 251
    assert Reference.parse(longest).name == longest
    with pytest.raises(OciError, match="255"):
        Reference.parse(longest + "c")


def test_upper_case_gets_a_hint() -> None:
    with pytest.raises(OciError) as caught:
        Reference.parse("Debian")
    assert caught.value.hint == "repository names are lower-case"


def test_tags_and_digests_replace_each_other() -> None:
    start = Reference.parse("debian:12")
    digest = Digest.of(b"x")
    assert str(start.with_digest(digest)) == f"docker.io/library/debian@{digest}"
    assert start.with_digest(digest).with_tag("13").familiar == "debian:13"
    with pytest.raises(OciError):
        start.with_tag("a/b")


NAMES = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)


@given(
    st.sampled_from(["docker.io", "localhost:1", "r.example"]),
    st.lists(NAMES, min_size=1, max_size=3),
    st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True),
)
def test_every_form_of_a_reference_means_the_same(registry: str, parts: list[str], tag: str) -> None:
    path = "/".join(parts)
    if len(registry) + len(path) > 240:
        return
    got = Reference.parse(f"{registry}/{path}:{tag}")
    assert got.tag == tag
    assert got.repository in (path, f"library/{path}")
    assert Reference.parse(str(got)) == got
    assert Reference.parse(got.familiar) == got


@given(st.text(max_size=60))
def test_no_text_crashes_the_parser(text: str) -> None:
    for read in (Reference.parse, Digest.parse):
        with contextlib.suppress(OciError):
            assert str(read(text))


@given(st.binary())
def test_a_digest_is_that_of_hashlib(data: bytes) -> None:
    for algorithm in ("sha256", "sha512"):
        digest = Digest.of(data, algorithm)
        hasher = digest.hasher()
        hasher.update(data)
        assert hasher.hexdigest() == digest.hex == hashlib.new(algorithm, data).hexdigest()
        assert Digest.parse(str(digest)) == digest
        assert digest.short == digest.hex[:12]


def test_chain_ids_are_those_of_the_specification() -> None:
    one, two, three = (Digest.of(text) for text in (b"1", b"2", b"3"))
    chain = Digest.of(f"{Digest.of(f'{one} {two}'.encode())} {three}".encode())
    assert chain_id((one,)) == one
    assert chain_id((one, two, three)) == chain
