"""How much a store takes, and for what."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import collect, files, lease, marking
from lamina_runtime.store.ground import Ground
from lamina_runtime.store.images import Record
from lamina_runtime.store.place import Place, stack_name


@dataclass(frozen=True, slots=True)
class Part:
    """Some kind of things in a store; `size` in bytes of the disk."""

    count: int
    size: int


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """One image: what it takes, and how much of that other images take as well."""

    id: Digest
    size: int
    shared: int
    in_use: bool  # by a lease

    @property
    def unique(self) -> int:
        """What its removal would give back."""
        return self.size - self.shared


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store takes."""

    images: tuple[ImageUsage, ...]
    layers: Part  # tars and what is known of them
    blobs: Part
    metadata: Part
    transfers: Part  # under way or interrupted
    reclaimable: int  # what collect() would give back now

    @property
    def total(self) -> int:
        """All of it."""
        return self.layers.size + self.blobs.size + self.metadata.size + self.transfers.size


def usage(ground: Ground) -> Usage:
    """Measure a store."""
    place = ground.place
    reclaimable = collect.collect(ground, dry_run=True).size
    with ground.together():
        layers = sorted((place.root / "layers").iterdir())
        leased = {digest for _, _, digests in lease.held(place.leases) for digest in digests}
        return Usage(
            tuple(_images(place, leased)),
            Part(len(layers), _sum([place.root / "layers", place.devices])),
            _part(path for _, path in marking.blob_files(place)),
            _part((place.root / "metadata").iterdir()),
            _part(place.temporary.iterdir()),
            reclaimable,
        )


def _images(place: Place, leased: set[Digest]) -> list[ImageUsage]:
    records = list(marking.records(place))
    parts = {record.id: _parts(place, record) for record in records}
    users = Counter(path for paths in parts.values() for path in paths)
    sizes = {path: _sum([path]) for path in users}
    return [
        ImageUsage(
            record.id,
            sum(sizes[path] for path in parts[record.id]),
            sum(sizes[path] for path in parts[record.id] if users[path] > 1),
            record.id in leased,
        )
        for record in records
    ]


def _parts(place: Place, record: Record) -> set[Path]:
    blobs = {record.id, *(found.digest for found in record.manifests)}
    for descriptor in record.manifests:
        blobs |= {layer.digest for layer in marking.read_manifest(place, record, descriptor).layers}
    layers = {path for found in record.diff_ids for path in (place.device(found), place.layer(found))}
    return (
        {place.root / "metadata" / stack_name(record.diff_ids)}
        | layers
        | {place.blob(found) for found in blobs}
    )


def _part(paths: Iterable[Path]) -> Part:
    listed = list(paths)
    return Part(len(listed), _sum(listed))


def _sum(paths: Iterable[Path]) -> int:
    return sum(files.size_on_disk(inner) for path in paths for inner in files.below(path))
