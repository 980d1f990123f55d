"""What of a store is needed, and by whom.

Theory.  Images are the roots, and leases.  From an image hang its manifests, its configuration, the
blobs that the manifests name, its layers and their metadata; names add the indexes they came from.
A lease keeps what it lists, whatever that is: the same digest may be a blob's, a layer's, and (as
sha256 of the stack) that of some metadata.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import HEX_LENGTH, Digest, is_hex
from lamina_runtime.oci.manifest import Index, Manifest, parse
from lamina_runtime.store import lease, moves
from lamina_runtime.store.errors import StoreError
from lamina_runtime.store.images import Record, read_record, record_names
from lamina_runtime.store.place import Place, stack_name, tag
from lamina_runtime.store.references import read_reference


@dataclass
class Needed:
    """What must stay."""

    blobs: set[Digest] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)  # of layers
    stacks: set[str] = field(default_factory=set)


def records(place: Place) -> Iterator[Record]:
    """Yield the record of every image; raises StoreError for one that is damaged."""
    for image_id in record_names(place):
        if (found := read_record(place, image_id)) is not None:
            yield found


def needed(place: Place) -> Needed:
    """Mark; raises StoreError if something that has to be followed cannot be read."""
    found = Needed()
    for record in records(place):
        _mark_image(place, record, found)
    for path in (place.root / "references").iterdir():
        try:
            named = read_reference(path)
        except (LaminaError, OSError):  # it names nothing any more, and its image has a record of its own
            continue
        if named is None:
            continue
        found.blobs.add(named.manifest.digest)
        if named.index is not None:
            found.blobs.add(named.index.digest)
    for _path, _reason, digests in lease.held(place.leases):
        found.blobs |= digests
        found.tags |= {tag(digest) for digest in digests}
        found.stacks |= {digest.hex for digest in digests}
    for name in sorted(found.tags):
        found.tags |= moves.sources(place.root / "layers" / name)
    return found


def _mark_image(place: Place, record: Record, found: Needed) -> None:
    found.blobs.add(record.id)
    found.tags |= {tag(diff_id) for diff_id in record.diff_ids}
    found.stacks.add(stack_name(record.diff_ids))
    for descriptor in record.manifests:
        found.blobs.add(descriptor.digest)
        found.blobs |= {layer.digest for layer in read_manifest(place, record, descriptor).layers}


def read_manifest(place: Place, record: Record, descriptor: Descriptor) -> Manifest:
    """Read a manifest of an image; raises StoreError if it is not what it should be."""
    try:
        raw = descriptor.verify(place.blob(descriptor.digest).read_bytes(), "manifest")
        manifest = parse(raw, descriptor.media_type, algorithm=descriptor.digest.algorithm)
    except (OSError, LaminaError) as exc:
        raise StoreError(
            f"image {record.id.short}: its manifest {descriptor.digest.short} cannot be read",
            details=str(exc),
            hint="remove the image, or pull it again",
        ) from None
    if isinstance(manifest, Index):
        raise StoreError(f"image {record.id.short}: an index stands in place of its manifest")
    return manifest


def blob_files(place: Place) -> Iterator[tuple[Digest, Path]]:
    """Yield what is among the blobs."""
    for algorithm in HEX_LENGTH:
        for path in sorted((place.root / "blobs" / algorithm).iterdir()):
            if is_hex(algorithm, path.name):
                yield Digest(algorithm, path.name), path
