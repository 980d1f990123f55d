"""`images --tree`: each name with the platforms that it is there for, and those that it could be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lamina_runtime.engine import containers, listing, mounts
from lamina_runtime.errors import LaminaError
from lamina_runtime.oci.manifest import MAX_DEPTH, Index, Manifest, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.listing import Row
    from lamina_runtime.oci.descriptor import Descriptor
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store import Store


class Variant(NamedTuple):
    """What a name means on one platform; sizes are 0 for what is not here."""

    platform: str
    digest: Digest  # of its manifest
    disk: int = 0  # of the layers, as they are read
    content: int = 0  # of the blobs, as they are sent
    in_use: bool = False


class Top(NamedTuple):
    """A name, or an image without one, and its variants."""

    reference: Reference | None
    digest: Digest  # of the index, else of the manifest
    variants: tuple[Variant, ...]


def tops(engine: Engine, *, pattern: str, words: Sequence[str]) -> list[Top]:
    """Return what `images` lists, as trees."""
    store = engine.store
    used = {mount.image_id for mount in mounts.active(engine)}
    used |= {str(one.record.image) for one in containers.containers(engine).list()}
    with store.lease("images"):
        return [_top(store, row, used) for row in listing.rows(store, pattern=pattern, words=words)]


def _top(store: Store, row: Row, used: set[str]) -> Top:
    named = store.references.get(row.reference) if row.reference else None
    manifest = named.manifest if named else row.image.manifests[-1]
    own = Variant(
        str(row.image.config.platform),
        manifest.digest,
        row.image.size,
        _content(store, manifest),
        str(row.image.id) in used,
    )
    if named is None or named.index is None:
        return Top(row.reference, manifest.digest, (own,))
    found = [
        own if entry.digest == manifest.digest else Variant(str(entry.platform), entry.digest)
        for entry in _images(store, named.index, 0)
    ]
    return Top(row.reference, named.index.digest, tuple(found) if own in found else (own, *found))


def _images(store: Store, index: Descriptor, depth: int) -> Iterator[Descriptor]:
    """Yield the images of an index and of those in it that are here."""
    document = _read(store, index)
    for entry in document.manifests if isinstance(document, Index) and depth < MAX_DEPTH else ():
        if entry.platform is not None and not entry.platform.is_unknown:
            yield entry
        elif entry.platform is None and store.blobs.has(entry.digest):
            yield from _images(store, entry, depth + 1)


def _content(store: Store, manifest: Descriptor) -> int:
    document = _read(store, manifest)
    if not isinstance(document, Manifest):
        return 0
    return len(document.raw) + document.config.size + sum(layer.size for layer in document.layers)


def _read(store: Store, described: Descriptor) -> Manifest | Index | None:
    try:
        raw = store.blobs.read(described.digest)
        return parse(raw, described.media_type, algorithm=described.digest.algorithm)
    except LaminaError:
        return None  # a listing shows what there is; 'store check' says what is wrong with it
