"""The distribution specification's small requests: manifests, tags, referrers, the catalogue.

These are end-3, 7, 8, 9 and 12, and docker's `_catalog`.

Theory. What is asked for by digest must have it. What is asked for by tag must have the digest that the
registry itself names in Docker-Content-Digest, if it names one. Lists come in pages that lead to each
other; they are followed at home only, to a limit, and never in circles.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import json, manifest, media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import MismatchError, OciError
from lamina_runtime.oci.manifest import Index, Manifest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.authorization import Rights
from lamina_runtime.registry.exchange import resolve, same_origin
from lamina_runtime.registry.failures import MissingError, ProtocolError
from lamina_runtime.registry.session import Call, Session
from lamina_runtime.registry.sources import Host, Source
from lamina_runtime.registry.tokens import bytes_body
from lamina_runtime.registry.transport import Headers

ACCEPT = ", ".join(media.ACCEPTED)
MAX_MANIFEST = json.MAX_SIZE
MAX_PAGE = 8 << 20
MAX_PAGES = 10_000
MAX_NAMES = 1_000_000
PAGE = 1000
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_RELATIONS = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Received:
    """A document and where it came from."""

    document: Manifest | Index
    source: Source


def identity(reference: Reference) -> str:
    """Return what to ask a registry for: the digest if there is one, else the tag."""
    return str(reference.digest or reference.tag)


async def get_manifest(session: Session, source: Source, name: str) -> Received:
    """Fetch a manifest or index by tag or digest."""
    call = _manifest_call("GET", source, name)
    reply, raw = await session.ask(source.host, call, limit=MAX_MANIFEST)
    where = f"{source}: manifest {name}"
    expected = Digest.parse(name) if ":" in name else _content_digest(reply.headers)
    algorithm = expected.algorithm if expected else "sha256"
    if expected and Digest.of(raw, algorithm) != expected:
        raise MismatchError(where, expected=expected, actual=Digest.of(raw, algorithm))
    return Received(manifest.parse(raw, reply.headers.get("content-type"), algorithm=algorithm), source)


async def head_manifest(session: Session, source: Source, name: str) -> Descriptor | None:
    """Return what a tag or digest points at; None if the registry says it only with the whole."""
    reply, _ = await session.ask(source.host, _manifest_call("HEAD", source, name), limit=0)
    found, length = _content_digest(reply.headers), reply.headers.get("content-length") or ""
    if found is None or not length.isdigit() or len(length) > 12:
        return None
    return Descriptor(media.bare(reply.headers.get("content-type") or ""), found, int(length))


async def put_manifest(
    session: Session, source: Source, document: Manifest | Index, *, tags: Sequence[str] = ()
) -> None:
    """Upload a document under its digest or under tags; list it among what refers to its subject."""
    first, *others = [*tags] or [str(document.digest)]
    headers = {"Content-Type": document.media_type, "Content-Length": str(len(document.raw))}
    call = Call(
        "PUT",
        f"{source.repository}/manifests/{first}",
        Rights.to(source.repository, "pull,push"),
        headers=headers,
        body=bytes_body(document.raw),
    )
    reply, _ = await session.ask(source.host, call, limit=MAX_PAGE)
    digest = _content_digest(reply.headers)
    same_kind = digest is not None and digest.algorithm == document.digest.algorithm
    if same_kind and digest != document.digest:
        raise MismatchError(f"{source}: manifest as stored", expected=document.digest, actual=digest)
    for tag in others:
        await put_manifest(session, source, document, tags=[tag])
    if document.subject and reply.headers.get("oci-subject") is None:
        await _add_referrer(session, source, document)


async def delete_manifest(session: Session, source: Source, name: str) -> None:
    """Delete a tag or a manifest."""
    rights = Rights.to(source.repository, "delete")
    call = Call("DELETE", f"{source.repository}/manifests/{name}", rights)
    await session.ask(source.host, call, limit=MAX_PAGE)


async def tags(session: Session, source: Source) -> list[str]:
    """Return all tags of a repository."""
    rights = Rights.to(source.repository, "pull")
    call = Call("GET", f"{source.repository}/tags/list", rights, [*_namespace(source), ("n", str(PAGE))])
    return [name async for name in _listed(session, source.host, call, "tags")]


async def catalog(session: Session, host: Host) -> list[str]:
    """Return all repositories of a registry that lists them."""
    rights = Rights("", frozenset({"registry:catalog:*"}))
    call = Call("GET", "_catalog", rights, [("n", str(PAGE))])
    return [name async for name in _listed(session, host, call, "repositories")]


async def referrers(
    session: Session, source: Source, digest: Digest, *, artifact_type: str = ""
) -> list[Descriptor]:
    """Return what refers to a manifest, by the registry's list or by the tag that stands in for it."""
    query = [("artifactType", artifact_type)] if artifact_type else []
    rights = Rights.to(source.repository, "pull")
    path = f"{source.repository}/referrers/{digest}"
    headers = {"Accept": media.OCI_INDEX}
    call: Call | None = Call("GET", path, rights, query, headers=headers, readable=frozenset({404}))
    found: list[Descriptor] = []
    for _ in range(MAX_PAGES):
        assert call
        reply, raw = await session.ask(source.host, call, limit=MAX_PAGE)
        if reply.status == 404:
            listed = await _tagged_referrers(session, source, digest)
            found = [*listed.manifests] if listed else []
            break
        found += _index(raw, f"{source}: referrers").manifests
        call = _next(reply.headers, reply.url, call)
        if call is None or len(found) > MAX_NAMES:
            break
    return [entry for entry in found if artifact_type in {"", entry.artifact_type}]


async def _tagged_referrers(session: Session, source: Source, digest: Digest) -> Index | None:
    try:
        received = await get_manifest(session, source, _referrers_tag(digest))
    except MissingError:
        return None
    if not isinstance(received.document, Index):
        raise ProtocolError(f"{source}: the referrers tag of {digest} is no index")
    return received.document


async def _add_referrer(session: Session, source: Source, document: Manifest | Index) -> None:
    """Maintain the referrers tag, as the specification asks where a registry has no list of its own."""
    assert document.subject
    subject = document.subject.digest
    listed = await _tagged_referrers(session, source, subject)
    entries = listed.manifests if listed else ()
    if any(entry.digest == document.digest for entry in entries):
        return
    kind = document.artifact_type or (document.config.media_type if isinstance(document, Manifest) else "")
    own = document.descriptor
    entry = Descriptor(own.media_type, own.digest, own.size, document.annotations, artifact_type=kind)
    index = manifest.build_index([*entries, entry])
    await put_manifest(session, source, index, tags=[_referrers_tag(subject)])


def _referrers_tag(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}"[:128]


def _index(raw: bytes, what: str) -> Index:
    document = manifest.parse(raw, media.OCI_INDEX)
    if not isinstance(document, Index):
        raise ProtocolError(f"{what}: not an index")
    return document


def _namespace(source: Source) -> list[tuple[str, str]]:
    """Tell a mirror which registry it stands for (the specification's `ns`)."""
    return [("ns", source.namespace)] if source.namespace else []


def _manifest_call(method: str, source: Source, name: str) -> Call:
    rights = Rights.to(source.repository, "pull")
    path = f"{source.repository}/manifests/{name}"
    return Call(method, path, rights, _namespace(source), headers={"Accept": ACCEPT})


def _content_digest(headers: Headers) -> Digest | None:
    """Return the digest that the registry names; one that we do not know counts as none."""
    try:
        return Digest.parse(headers.get("docker-content-digest") or "")
    except OciError:
        return None


async def _listed(session: Session, host: Host, call: Call | None, key: str) -> AsyncIterator[str]:
    count = 0
    for _ in range(MAX_PAGES):
        if call is None:
            return
        reply, raw = await session.ask(host, call, limit=MAX_PAGE)
        try:
            names = json.load_object(raw, f"{host.name}: {key}", limit=MAX_PAGE).texts(key)
        except LaminaError as exc:
            raise ProtocolError(exc.brief, details=exc.details) from exc
        for name in names:
            yield name
        count += len(names)
        call = _next(reply.headers, reply.url, call) if names else None
        if count > MAX_NAMES:
            break
    raise ProtocolError(f"{host.name}: the list of {key} does not end")


def _next(headers: Headers, url: str, call: Call) -> Call | None:
    """Return the call for the next page, None after the last."""
    target = next_link(headers.all("link"))
    if target is None:
        return None
    address = resolve(url, target, insecure=False)
    if not same_origin(address, url) or not urlsplit(address).path.startswith("/"):
        raise ProtocolError(f"{urlsplit(url).hostname}: the next page is at another host")
    if address == url:
        raise ProtocolError(f"{urlsplit(url).hostname}: a list leads to itself")
    return Call(call.method, call.path, call.rights, headers=call.headers, address=address)


def next_link(values: Sequence[str]) -> str | None:
    """Return the target of `rel=next` in Link headers (RFC 8288)."""
    for value in values:
        for target, parameters in _LINK.findall(value[: 16 << 10]):
            relations = _RELATIONS.search(parameters)
            if relations and "next" in (relations[1] or relations[2] or "").lower().split():
                return str(target)
    return None
