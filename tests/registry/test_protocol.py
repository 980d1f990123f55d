"""Manifests, lists, referrers, search and login against scripted servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lamina_runtime.oci import media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import MismatchError, OciError
from lamina_runtime.oci.manifest import Manifest, build_manifest, parse
from lamina_runtime.registry import login, protocol
from lamina_runtime.registry.credentials import Credential
from lamina_runtime.registry.failures import ProtocolError, RegistryError, UnauthorizedError
from lamina_runtime.registry.search import Found, search
from lamina_runtime.registry.session import Session

from tests.registry.harness import descriptor, document, failure, options, problem, run, source
from tests.support.scripted import Answer, Handler, Seen, Server, serving

OK = Answer()
CONFIG = b"{}"
MANIFEST = build_manifest(descriptor(CONFIG, media.OCI_CONFIG), [])
DIGEST = str(MANIFEST.digest)


def asked(tmp_path: Path, handler: Handler, ask: Any, **changes: Any) -> tuple[Any, Server]:
    """Return what `ask(session, source)` returns against a scripted server."""

    async def work() -> tuple[Any, Server]:
        async with serving(handler) as server, Session(options(tmp_path, **changes)) as session:
            return await ask(session, source(session, server.host)), server

    try:
        return run(work)
    except BaseExceptionGroup as group:
        raise failure(group) from None


def manifest_answer(raw: bytes = MANIFEST.raw, kind: str = media.OCI_MANIFEST, **headers: str) -> Handler:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(200, {"Content-Type": kind, **named}, raw)


def get(name: str) -> Any:
    return lambda session, place: protocol.get_manifest(session, place, name)


def test_a_manifest_is_asked_for_in_all_forms(tmp_path: Path) -> None:
    found, server = asked(tmp_path, manifest_answer(Docker_Content_Digest=DIGEST), get("latest"))
    assert found.document == MANIFEST
    assert server.seen[-1].headers["accept"].split(", ") == list(media.ACCEPTED)


def test_a_registry_that_names_no_digest_is_believed_for_a_tag(tmp_path: Path) -> None:
    assert asked(tmp_path, manifest_answer(), get("latest"))[0].document.digest == MANIFEST.digest


@pytest.mark.parametrize("name", ["latest", f"sha256:{'0' * 64}"])
def test_other_content_than_named_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MismatchError):
        asked(tmp_path, manifest_answer(Docker_Content_Digest=f"sha256:{'0' * 64}"), get(name))


def test_sha512_references(tmp_path: Path) -> None:
    name = str(Digest.of(MANIFEST.raw, "sha512"))
    found, _ = asked(tmp_path, manifest_answer(Docker_Content_Digest=DIGEST), get(name))
    assert str(found.document.digest) == name


def test_digests_of_unknown_kinds_in_a_header_do_not_matter(tmp_path: Path) -> None:
    assert asked(tmp_path, manifest_answer(Docker_Content_Digest="blake9:abcdef"), get("latest"))[0]


@pytest.mark.parametrize(
    ("raw", "kind", "said"),
    [
        (b"<html>hello</html>", "text/html", "not JSON"),
        (MANIFEST.raw, media.OCI_INDEX, "calls itself"),
        (json.dumps({"schemaVersion": 1}).encode(), "application/json", "schema 1"),
        (b"{}", media.DOCKER_SCHEMA1_SIGNED, "schema 1"),
        (b'{"schemaVersion":2,"manifests":[],"layers":[]}', media.OCI_INDEX, "could be an index"),
        (b"[" * 100_000, media.OCI_MANIFEST, "nested"),
        (b'{"a":1,"a":2}', media.OCI_MANIFEST, "twice"),
    ],
)
def test_documents_that_are_no_manifests(tmp_path: Path, raw: bytes, kind: str, said: str) -> None:
    with pytest.raises(OciError, match=said):
        asked(tmp_path, manifest_answer(raw, kind), get("latest"))


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain; charset=utf-8", media.OCI_MANIFEST + "; a=b"]
)
def test_content_types_that_say_little_are_put_up_with(tmp_path: Path, kind: str) -> None:
    assert (
        asked(tmp_path, manifest_answer(kind=kind), get("latest"))[0].document.media_type
        == media.OCI_MANIFEST
    )


def test_huge_manifests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="more than 4194304 bytes"):
        asked(tmp_path, manifest_answer(b" " * (5 << 20)), get("latest"))


def test_heads(tmp_path: Path) -> None:
    async def head(session: Session, place: Any) -> Descriptor | None:
        return await protocol.head_manifest(session, place, "latest")

    found, server = asked(tmp_path, manifest_answer(Docker_Content_Digest=DIGEST), head)
    assert found == MANIFEST.descriptor
    assert server.asked() == ["HEAD /v2/a/b/manifests/latest"]
    assert asked(tmp_path, manifest_answer(), head)[0] is None


def put(*tags: str, manifest: Manifest = MANIFEST) -> Any:
    return lambda session, place: protocol.put_manifest(session, place, manifest, tags=tags)


def test_manifests_are_put_under_their_tags(tmp_path: Path) -> None:
    def handler(seen: Seen) -> Answer:
        return Answer(201, {"Docker-Content-Digest": DIGEST})

    _, server = asked(tmp_path, handler, put("v1", "v2"))
    assert server.asked() == ["PUT /v2/a/b/manifests/v1", "PUT /v2/a/b/manifests/v2"]
    assert server.seen[-1].body == MANIFEST.raw
    assert server.seen[-1].headers["content-type"] == media.OCI_MANIFEST
    _, server = asked(tmp_path, handler, put())
    assert server.asked() == [f"PUT /v2/a/b/manifests/{DIGEST}"]
    with pytest.raises(MismatchError, match="as stored"):
        asked(tmp_path, lambda _: Answer(201, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}), put("v1"))


SUBJECT = {**json.loads(MANIFEST.raw), "subject": MANIFEST.descriptor.to_json(), "artifactType": "x/sbom",
           "annotations": {"a": "b"}}  # fmt: skip
REFERRER = parse(json.dumps(SUBJECT).encode())
assert isinstance(REFERRER, Manifest)


class Tags:
    """A registry without the referrers list: manifests by tag."""

    def __init__(self, *, knows_subjects: bool = False) -> None:
        self.kept: dict[str, bytes] = {}
        self.knows_subjects = knows_subjects

    def __call__(self, seen: Seen) -> Answer:
        name = seen.path.rpartition("/")[2]
        if seen.method == "PUT":
            self.kept[name] = seen.body
            return Answer(201, {"OCI-Subject": DIGEST} if self.knows_subjects else {})
        if "/manifests/" in seen.path and name in self.kept:
            return Answer(200, {"Content-Type": media.OCI_INDEX}, self.kept[name])
        return problem(404, "MANIFEST_UNKNOWN") if seen.path != "/v2/" else OK


def test_referrers_without_a_list_are_kept_under_a_tag(tmp_path: Path) -> None:
    registry = Tags()
    tag = DIGEST.replace(":", "-")
    for _ in range(2):  # the second time nothing is added
        asked(tmp_path, registry, put("sbom", manifest=REFERRER))
    (entry,) = json.loads(registry.kept[tag])["manifests"]
    assert entry["digest"] == str(REFERRER.digest)
    assert (entry["artifactType"], entry["annotations"]) == ("x/sbom", {"a": "b"})

    async def listed(session: Session, place: Any) -> list[list[Digest]]:
        found = [await protocol.referrers(session, place, MANIFEST.digest, artifact_type=kind)
                 for kind in ("", "x/sbom", "x/other")]  # fmt: skip
        return [[one.digest for one in each] for each in found]

    assert asked(tmp_path, registry, listed)[0] == [[REFERRER.digest], [REFERRER.digest], []]


def test_a_registry_that_knows_subjects_needs_no_tag(tmp_path: Path) -> None:
    registry = Tags(knows_subjects=True)
    asked(tmp_path, registry, put("sbom", manifest=REFERRER))
    assert list(registry.kept) == ["sbom"]


def test_referrers_come_in_pages_and_are_filtered(tmp_path: Path) -> None:
    def handler(seen: Seen) -> Answer:
        second = "page" in seen.query
        entry = REFERRER.descriptor.to_json() | {"artifactType": "x/sbom" if second else "x/other"}
        link = {} if second else {"Link": f"<{seen.path}?page=2>; rel=next"}
        return document({"schemaVersion": 2, "manifests": [entry]}, **link)

    async def listed(session: Session, place: Any) -> int:
        return len(await protocol.referrers(session, place, MANIFEST.digest, artifact_type="x/sbom"))

    found, server = asked(tmp_path, handler, listed)
    assert found == 1
    assert server.seen[1].query == {"artifactType": ["x/sbom"]}


def tags(session: Session, place: Any) -> Any:
    return protocol.tags(session, place)


def test_tags_come_in_pages(tmp_path: Path) -> None:
    def handler(seen: Seen) -> Answer:
        last = int(seen.query.get("last", ["0"])[0])
        link = {"Link": f'</v2/a/b/tags/list?n=1000&last={last + 2}>; rel="next"'} if last < 6 else {}
        return document({"name": "a/b", "tags": [f"t{last}", f"t{last + 1}"]}, **link)

    found, server = asked(tmp_path, handler, tags)
    assert found == [f"t{number}" for number in range(8)]
    assert len(server.asked()) == 4


def test_no_tags(tmp_path: Path) -> None:
    assert asked(tmp_path, lambda _: document({"name": "a/b", "tags": None}), tags)[0] == []


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("</v2/a/b/tags/list?n=1000>; rel=next", "leads to itself"),
        ("<http://evil.example/v2/a/b/tags/list>; rel=next", "at another host"),
        ("<file:///etc/passwd>; rel=next", "not an HTTP address"),
    ],
)
def test_pages_that_lead_astray(tmp_path: Path, link: str, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        asked(tmp_path, lambda _: document({"tags": ["a"]}, Link=link), tags)


def test_endless_lists_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_PAGES", 20)

    def handler(seen: Seen) -> Answer:
        last = int(seen.query.get("last", ["0"])[0]) + 1
        return document({"tags": ["a"]}, Link=f"<{seen.path}?last={last}>; rel=next")

    with pytest.raises(ProtocolError, match="does not end"):
        asked(tmp_path, handler, tags)


@pytest.mark.parametrize("answer", [[], {"tags": "a"}, {"tags": [5]}, {"tags": {}}])
def test_lists_that_are_none(tmp_path: Path, answer: Any) -> None:
    with pytest.raises(ProtocolError, match="tags"):
        asked(tmp_path, lambda _: document(answer), tags)


def found(tmp_path: Path, handler: Handler, term: str = "web", **more: Any) -> tuple[list[Found], Server]:
    async def work() -> tuple[list[Found], Server]:
        async with serving(handler) as server:
            return await search(term, options(tmp_path), registry=server.host, **more), server

    try:
        return run(work)
    except BaseExceptionGroup as group:
        raise failure(group) from None


def only(path: str, answer: Any) -> Handler:
    return lambda seen: document(answer) if seen.path == path else Answer(404 if seen.path != "/v2/" else 200)


def test_search_as_docker_hub_has_it(tmp_path: Path) -> None:
    results = [{"name": "nginx", "description": "web\n\x1b[31m server", "star_count": 7, "is_official": True},
               {"name": "me/nginx", "description": None, "is_automated": True}]  # fmt: skip
    listed, server = found(tmp_path, only("/v1/search", {"num_results": 2, "results": results}), limit=5)
    host = server.host
    assert listed == [
        Found(f"{host}/nginx", "web [31m server", 7, official=True),
        Found(f"{host}/me/nginx", automated=True),
    ]
    assert server.seen[-1].query == {"q": ["web"], "n": ["5"]}


def test_search_as_harbor_and_quay_have_it(tmp_path: Path) -> None:
    harbor = {"project": [], "repository": [{"repository_name": "team/web", "pull_count": 3}], "chart": []}
    listed, server = found(tmp_path, only("/api/v2.0/search", harbor))
    assert [one.name for one in listed] == [f"{server.host}/team/web"]
    quay = {"results": [{"name": "web", "namespace": {"name": "team"}, "description": "x", "stars": 1.5}]}
    listed, server = found(tmp_path, only("/api/v1/find/repositories", quay))
    assert [(one.name, one.description) for one in listed] == [(f"{server.host}/team/web", "x")]


def test_search_in_the_catalogue(tmp_path: Path) -> None:
    names = {"repositories": ["a/Web", "b/other", "web-2", "web-3"]}
    listed, server = found(tmp_path, only("/v2/_catalog", names), limit=2)
    assert [one.name for one in listed] == [f"{server.host}/a/Web", f"{server.host}/web-2"]


def test_search_of_a_page_for_people_goes_on(tmp_path: Path) -> None:
    def handler(seen: Seen) -> Answer:
        if seen.path == "/v2/_catalog":
            return document({"repositories": ["web"]})
        return Answer(200, {"Content-Type": "text/html"}, b"<html>")

    assert len(found(tmp_path, handler)[0]) == 1


@pytest.mark.parametrize("results", [5, [5], [{"name": 5}], [{}], [{"name": "a", "star_count": "x"}]])
def test_search_results_that_are_none(tmp_path: Path, results: Any) -> None:
    with pytest.raises(ProtocolError):
        found(tmp_path, only("/v1/search", {"results": results}))


def test_registries_that_cannot_be_searched(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="not found"):
        found(tmp_path, lambda seen: Answer(200 if seen.path == "/v2/" else 404))


def test_login_keeps_what_the_registry_took(tmp_path: Path) -> None:
    def handler(seen: Seen) -> Answer:
        if seen.headers.get("authorization") == "Basic YW5uOnNlY3JldA==":
            return OK
        return problem(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')

    async def work() -> None:
        async with serving(handler) as server:
            settings = options(tmp_path)
            with pytest.raises(UnauthorizedError, match="wrong name or password"):
                await login.login(server.host, Credential("ann", "wrong"), settings)
            assert settings.credentials.get(server.host) is None
            done = await login.login(server.host, Credential("ann", "secret"), settings)
            assert done.stored.plain
            assert settings.credentials.get(server.host) == Credential("ann", "secret")
            assert login.logout(server.host, settings)
            assert not login.logout(server.host, settings)

    run(work)


def test_login_to_what_is_no_registry(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(lambda _: Answer(404)) as server:
            with pytest.raises(RegistryError, match="is not a registry"):
                await login.login(server.host, Credential("ann", "x"), options(tmp_path))

    run(work)
