"""OCI layouts, as directories or in archives: index.json over blobs named by their digests.

Theory.  The entries of index.json are images, named by annotations: containerd's full name, or
`org.opencontainers.image.ref.name`, which some fill with a full name and others with a bare
tag.  An entry may be an index: then the wanted platform's manifest is taken.  `docker save`
writes indexes whose other platforms' blobs are not there, so what is missing is passed over as
long as something is left; and an archive whose only image is of another platform is loaded all
the same unless a platform was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.archive.wanted import Documents, Part, Wanted, matched
from lamina_runtime.oci import json, media
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.manifest import MAX_DEPTH, Index, Manifest, candidates, parse
from lamina_runtime.oci.media import Kind
from lamina_runtime.oci.platform import ATTESTATION, Platform
from lamina_runtime.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.oci.descriptor import Descriptor

LAYOUT, INDEX = "oci-layout", "index.json"
FULL_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
MOST_VISITS = 4096


def blob_name(descriptor: Descriptor) -> str:
    """Return the member that holds a blob."""
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"


class Reader:
    """Reads one layout; `wanted` is the platform, `strict` whether no other will do."""

    def __init__(self, archive: Documents, wanted: Platform, *, strict: bool, repository: str = "") -> None:
        self._archive, self._wanted, self._strict, self._repository = archive, wanted, strict, repository
        self._visits = 0

    def images(self) -> list[Wanted]:
        """Return the images that index.json names, each once, with all its names."""
        version = json.load_object(self._archive.document(LAYOUT), LAYOUT).text("imageLayoutVersion")
        if version.partition(".")[0] != "1":
            raise ArchiveError(f"{LAYOUT}: version {version!r} is unknown")
        top = parse(self._archive.document(INDEX), media.OCI_INDEX)
        assert isinstance(top, Index)
        found: dict[tuple[object, object], Wanted] = {}
        for entry in self._chosen(top):
            image = self._image(entry)
            if image is None:
                continue
            key = image.manifest.digest if image.manifest else None, image.config.id
            before = found.get(key)
            names = (*(before.names if before else ()), *self._names(entry))
            found[key] = Wanted(
                image.config, image.parts, image.manifest, image.index, tuple(dict.fromkeys(names))
            )
        return list(found.values())

    def _chosen(self, top: Index) -> list[Descriptor]:
        """Return the entries to load: of those that differ in platform only, the best."""
        groups: dict[str, list[Descriptor]] = {}
        for entry in top.manifests:
            if _is_image(entry):
                name = entry.annotations.get(FULL_NAME) or entry.annotations.get(REF_NAME, "")
                groups.setdefault(name, []).append(entry)
        chosen = []
        for entries in groups.values():
            plain = [entry for entry in entries if entry.platform is None]
            rest = [entry for entry in entries if entry.platform is not None]
            ranked = candidates(_with(top, rest), self._wanted) if len(rest) > 1 or self._strict else rest
            chosen += plain + (ranked or ([] if self._strict else rest))[:1]
        if not chosen and self._strict and groups:
            raise OciError(f"no image for {self._wanted}")
        return chosen

    def _image(self, entry: Descriptor) -> Wanted | None:
        """Return the image behind an entry, None for what is no image."""
        outer: Index | None = None
        for index, descriptor in self._manifests(entry, None, 0):
            manifest = self._read(descriptor)
            assert isinstance(manifest, Manifest)
            if not manifest.is_image:
                continue
            name = blob_name(manifest.config)
            config = ImageConfig.parse(
                manifest.config.verify(self._archive.document(name), name),
                algorithm=manifest.config.digest.algorithm,
            )
            if self._strict and self._wanted.rank(config.platform) is None:
                continue
            outer = index
            layers = tuple(blob_name(layer) for layer in manifest.layers)
            pairs = zip(matched(config, layers, f"manifest {manifest.digest}"), manifest.layers, strict=True)
            parts = tuple(Part(part, diff_id, layer) for (part, diff_id), layer in pairs)
            return Wanted(config, parts, manifest, outer)
        return None

    def _manifests(
        self, entry: Descriptor, outer: Index | None, depth: int
    ) -> Iterator[tuple[Index | None, Descriptor]]:
        """Yield the manifests that may serve, best first, each with the outermost index it is in."""
        self._visits += 1
        if depth > MAX_DEPTH or self._visits > MOST_VISITS:
            raise ArchiveError("the archive's indexes are nested too deeply")
        if not self._archive.has(blob_name(entry)):
            if depth == 0:
                raise ArchiveError(f"the archive lacks {blob_name(entry)}", details=f"{INDEX} names it")
            return
        document = self._read(entry)
        if isinstance(document, Manifest):
            yield outer, entry
            return
        ranked = candidates(document, self._wanted)
        others = (
            []
            if self._strict
            else [one for one in document.manifests if _is_image(one) and one not in ranked]
        )
        for inner in (*ranked, *others):
            yield from self._manifests(inner, outer or document, depth + 1)

    def _read(self, descriptor: Descriptor) -> Manifest | Index:
        name = blob_name(descriptor)
        raw = descriptor.verify(self._archive.document(name), name)
        return parse(raw, descriptor.media_type or None, algorithm=descriptor.digest.algorithm)

    def _names(self, entry: Descriptor) -> list[Reference]:
        for key in (FULL_NAME, REF_NAME):
            text = entry.annotations.get(key, "")
            if not text:
                continue
            if "/" not in text and ":" not in text:  # a bare tag
                if not self._repository:
                    return []
                text = f"{self._repository}:{text}"
            reference = Reference.parse(text)
            if reference.tag:
                return [Reference(reference.registry, reference.repository, reference.tag)]
        return []


def _is_image(entry: Descriptor) -> bool:
    """Tell whether an entry may be an image: not an attestation, not an artifact."""
    if (
        ATTESTATION in entry.annotations
        or entry.artifact_type
        or (entry.platform and entry.platform.is_unknown)
    ):
        return False
    return not entry.media_type or media.kind(entry.media_type) in (Kind.INDEX, Kind.MANIFEST)


def _with(top: Index, entries: list[Descriptor]) -> Index:
    return Index(top.raw, top.media_type, top.digest, tuple(entries))
