"""From the store into an archive: docker-archive, OCI archive, OCI layout directory.

Theory.  All three are an OCI layout: blobs by digest and index.json.  What docker calls an archive
has manifest.json and repositories beside it, as docker 25 and later write it, so that docker,
podman and skopeo take it as either.  Manifests, configurations and layers are the bytes that came
from the registry, so digests are the same on the way round; where those of a layer were not kept, the
image goes out under a manifest over the plain tars.

The same images in the same order give the same bytes: no times, no owners, blobs sorted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lamina_runtime.archive.docker_archive import MANIFEST
from lamina_runtime.archive.legacy import REPOSITORIES
from lamina_runtime.archive.oci_layout import FULL_NAME, INDEX, LAYOUT, REF_NAME, blob_name
from lamina_runtime.oci import json, media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import chain_id
from lamina_runtime.oci.manifest import Manifest, build_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina_runtime.archive.targets import Target
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store.images import Image
    from lamina_runtime.store.store import Store

CONTENTS = ("blobs", INDEX, LAYOUT)  # the names at the top of a layout
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True)
class Saved:
    """An image to save: the manifest under which it goes out, and the names that this has."""

    image: Image
    manifest: Manifest
    names: tuple[Reference, ...]


@dataclass(slots=True)
class _Contents:
    """What an archive will have."""

    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Descriptor] = field(default_factory=dict)
    index: list[Descriptor] = field(default_factory=list)
    docker: list[dict[str, Any]] = field(default_factory=list)
    repositories: dict[str, dict[str, str]] = field(default_factory=dict)


def write(store: Store, images: Sequence[Saved], target: Target, *, docker: bool) -> None:
    """Write images to a target; `docker` adds what docker's own archives have."""
    contents = _Contents()
    for saved in images:
        _add(store, contents, saved)
    documents = {LAYOUT: LAYOUT_VERSION, INDEX: _index(contents.index)}
    if docker:
        documents[MANIFEST] = json.dump(contents.docker)
        if contents.repositories:
            documents[REPOSITORIES] = json.dump(contents.repositories)
    blobs: dict[str, bytes | Descriptor] = {**contents.documents, **contents.layers}
    target.directory("blobs")
    for algorithm in sorted({name.split("/")[1] for name in blobs}):
        target.directory(f"blobs/{algorithm}")
    for name in sorted(blobs):
        blob = blobs[name]
        if isinstance(blob, bytes):
            target.file(name, blob)
        else:
            with store.blobs.open(blob.digest) as source:
                target.copy(name, source, blob.size)
    for name in sorted(documents):
        target.file(name, documents[name])


def _add(store: Store, contents: _Contents, saved: Saved) -> None:
    image = saved.image
    manifest = _manifest(store, saved)
    contents.documents[blob_name(manifest.descriptor)] = manifest.raw
    contents.documents[blob_name(manifest.config)] = image.config.raw
    contents.layers |= {blob_name(layer): layer for layer in manifest.layers}
    described = manifest.descriptor
    for name in saved.names or (None,):
        annotations = {FULL_NAME: str(name), REF_NAME: name.tag or ""} if name else {}
        contents.index.append(
            Descriptor(
                described.media_type, described.digest, described.size, annotations, image.config.platform
            )
        )
        if name:
            top = chain_id(image.diff_ids).hex if image.diff_ids else image.id.hex
            contents.repositories.setdefault(name.familiar_name, {})[name.tag or ""] = top
    contents.docker.append(
        {
            "Config": blob_name(manifest.config),
            "RepoTags": [name.familiar for name in saved.names] or None,
            "Layers": [blob_name(layer) for layer in manifest.layers],
            "LayerSources": {
                str(diff_id): layer.to_json()
                for diff_id, layer in zip(image.diff_ids, manifest.layers, strict=True)
            },
        }
    )


def _manifest(store: Store, saved: Saved) -> Manifest:
    """Return the image's manifest, or one over the tars where its layers' blobs were not kept."""
    image = saved.image
    if all(store.blobs.has(layer.digest) for layer in saved.manifest.layers):
        return saved.manifest
    layers = [
        Descriptor(media.OCI_LAYER, diff_id, store.layers.info(diff_id).size) for diff_id in image.diff_ids
    ]
    return build_manifest(image.config.descriptor(), layers)


def _index(entries: Sequence[Descriptor]) -> bytes:
    value = {
        "schemaVersion": 2,
        "mediaType": media.OCI_INDEX,
        "manifests": [entry.to_json() for entry in entries],
    }
    return json.dump(value)
