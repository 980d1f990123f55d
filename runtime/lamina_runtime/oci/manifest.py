"""Manifests and indexes: frozen views over the bytes that were received.

Theory.  The digest of a document is that of its bytes, so these are never written again from what
was read: fields that we do not know survive, and what we push is what we pulled.

A document says what it is twice, in its own `mediaType` and in what the sender says; if both are
there they must agree, and a document that could be read as either kind is refused (CVE-2021-41190).
"""

from __future__ import annotations

from lamina_runtime.oci import json, media
from lamina_runtime.oci.descriptor import NOTHING, Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.media import Kind
from lamina_runtime.oci.platform import ATTESTATION, Platform
from lamina_runtime.value import MappingProxyType, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from typing import Any

MAX_LAYERS = 1024  # dockerd stops at 125; EROFS's device table would take 65,535
MAX_MANIFESTS = 10_000
MAX_DEPTH = 4  # of indexes in indexes
MAX_VISITS = 64  # documents read for one choice


@value
class Manifest:
    """One image, or an artifact: a configuration and layers, base first."""

    raw: bytes
    media_type: str
    digest: Digest
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = NOTHING

    @property
    def descriptor(self) -> Descriptor:
        """What others point at this by."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    @property
    def is_image(self) -> bool:
        """Whether the configuration is that of an image."""
        return media.kind(self.config.media_type) == Kind.CONFIG


@value
class Index:
    """Several manifests, mostly one for each platform."""

    raw: bytes
    media_type: str
    digest: Digest
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = NOTHING

    @property
    def descriptor(self) -> Descriptor:
        """What others point at this by."""
        return Descriptor(self.media_type, self.digest, len(self.raw))


def parse(raw: bytes, media_type: str | None = None, *, algorithm: str = "sha256") -> Manifest | Index:
    """Read a document; `media_type` is what the sender or a descriptor calls it."""
    if media_type and media.is_schema1(media_type):
        raise _schema1()
    found = json.load_object(raw, "manifest")
    if found.integer("schemaVersion") == 1:
        raise _schema1()
    if found.integer("schemaVersion", 2) != 2:
        raise OciError(f"manifest: schema version {found.integer('schemaVersion')} is unknown")
    chosen = _type(found, media_type)
    subject = found.inner("subject")
    common: dict[str, Any] = {
        "raw": raw,
        "media_type": chosen,
        "digest": Digest.of(raw, algorithm),
        "subject": Descriptor.from_json(subject) if subject else None,
        "artifact_type": found.text("artifactType"),
        "annotations": MappingProxyType(found.text_map("annotations")),
    }
    if media.kind(chosen) == Kind.INDEX:
        listed = found.objects("manifests", limit=MAX_MANIFESTS)
        return Index(manifests=tuple(Descriptor.from_json(entry) for entry in listed), **common)
    config = found.inner("config")
    if config is None:
        raise OciError("manifest: no config")
    layers = found.objects("layers", limit=MAX_LAYERS)
    return Manifest(
        config=Descriptor.from_json(config),
        layers=tuple(Descriptor.from_json(entry) for entry in layers),
        **common,
    )


def _schema1() -> OciError:
    return OciError(
        "manifest: docker's schema 1 is not supported",
        hint="push the image again with a tool from after 2016",
    )


def _type(found: json.Object, said: str | None) -> str:
    own = found.text("mediaType")
    known = [name for name in (own, said or "") if media.kind(name) in (Kind.INDEX, Kind.MANIFEST)]
    if own and not known:
        raise OciError(f"manifest: media type {own[:200]!r} is neither a manifest's nor an index's")
    if len(known) == 2 and media.bare(known[0]) != media.bare(known[1]):
        raise OciError(f"manifest: it calls itself {own}, its sender calls it {said}")
    looks_index, looks_manifest = (
        "manifests" in found.fields,
        bool({"config", "layers"} & found.fields.keys()),
    )
    if looks_index and looks_manifest:
        raise OciError("manifest: it could be an index as well as a manifest")
    if not (looks_index or looks_manifest):
        raise OciError("manifest: neither config and layers nor manifests are there")
    chosen = media.bare(known[0]) if known else media.OCI_INDEX if looks_index else media.OCI_MANIFEST
    if (media.kind(chosen) == Kind.INDEX) != looks_index:
        raise OciError(f"manifest: it is not what its media type {chosen} says")
    return chosen


def build_manifest(
    config: Descriptor,
    layers: Sequence[Descriptor],
    annotations: Mapping[str, str] = NOTHING,
    media_type: str = media.OCI_MANIFEST,
) -> Manifest:
    """Write a manifest; equal arguments give equal bytes."""
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    if annotations:
        value["annotations"] = dict(sorted(annotations.items()))
    built = parse(json.dump(value), media_type)
    assert isinstance(built, Manifest)
    return built


def build_index(
    manifests: Sequence[Descriptor],
    annotations: Mapping[str, str] = NOTHING,
    media_type: str = media.OCI_INDEX,
) -> Index:
    """Write an index; equal arguments give equal bytes."""
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [entry.to_json() for entry in manifests],
    }
    if annotations:
        value["annotations"] = dict(sorted(annotations.items()))
    built = parse(json.dump(value), media_type)
    assert isinstance(built, Index)
    return built


def candidates(index: Index, wanted: Platform) -> list[Descriptor]:
    """Return what of an index may serve a platform, best first; entries that name no platform come last."""
    ranked: list[tuple[tuple[int, ...], Descriptor]] = []
    for entry in index.manifests:
        if (
            media.kind(entry.media_type) not in (Kind.INDEX, Kind.MANIFEST)
            or ATTESTATION in entry.annotations
        ):
            continue
        if entry.platform is None:
            if not entry.artifact_type:
                ranked.append(((-1,), entry))
        elif not entry.platform.is_unknown and (rank := wanted.rank(entry.platform)) is not None:
            ranked.append((rank, entry))
    ranked.sort(key=lambda pair: pair[0], reverse=True)  # stable: the first of equals stays first
    return [entry for _, entry in ranked]


def choose(index: Index, wanted: Platform) -> Descriptor:
    """Return the best entry of an index for a platform; it may be an index itself."""
    found = candidates(index, wanted)
    if not found:
        raise _no_match(index, wanted)
    return found[0]


def resolve(top: Manifest | Index, wanted: Platform) -> Generator[Descriptor, Manifest | Index, Manifest]:
    """Find the manifest for a platform through nested indexes.

    Yields each descriptor whose document is wanted and is sent the parsed document, so that it
    serves callers that wait as well as those that do not.  Returns the manifest.
    """
    seen: set[Digest] = {top.digest}
    queue: list[tuple[Descriptor, int]] = []
    document = top
    depth = 0
    while isinstance(document, Index):
        if depth >= MAX_DEPTH:
            raise OciError(f"index {document.digest}: indexes nested more than {MAX_DEPTH} deep")
        queue[:0] = [(entry, depth + 1) for entry in candidates(document, wanted)]
        while queue and queue[0][0].digest in seen:
            del queue[0]
        if not queue:
            raise _no_match(top, wanted)
        if len(seen) > MAX_VISITS:
            raise OciError(f"index {top.digest}: more than {MAX_VISITS} documents to look for {wanted}")
        descriptor, depth = queue.pop(0)
        seen.add(descriptor.digest)
        document = yield descriptor
    return document


def _no_match(top: Manifest | Index, wanted: Platform) -> OciError:
    offered: list[str] = []
    if isinstance(top, Index):
        names = (
            str(entry.platform) for entry in top.manifests if entry.platform and not entry.platform.is_unknown
        )
        offered = list(dict.fromkeys(names))[:32]
    return OciError(
        f"no image for {wanted}",
        details="there are: " + ", ".join(offered) if offered else "it names no platform",
    )
