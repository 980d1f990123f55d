"""The same content in several layers is kept once.

Theory.  It is an offline command: the store's lock is held alone, and layers that a lease protects
are left as they are.  Layers are taken one after the other; what one of them shares with those
before it moves there.  A layer that serves others as a source, or has moved data already, is not
changed again, so the source of a move always has its bytes.

Order, so that every crash leaves a good store: the moves of a layer are noted; the metadata of all
stacks with that layer is made again, now pointing at the sources; then the tar is replaced by one
with holes.  Until then both places have the data; whoever has the old tar open keeps it.  The next
dedup goes on where one was interrupted.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lamina_runtime.store import dedup_plan, files, forms, lease, marking, metadata, moves
from lamina_runtime.store import format as store_format
from lamina_runtime.store.dedup_plan import Places, Scanned
from lamina_runtime.store.ground import Ground
from lamina_runtime.store.moves import Move
from lamina_runtime.store.place import Place, tag

Progress = Callable[[str, int, int], None]
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_COPY = 1 << 30


@dataclass(frozen=True, slots=True)
class Deduped:
    """What a dedup did."""

    layers: tuple[str, ...]  # whose tars have holes now: tags, diffIDs in hexadecimal
    moved: int  # bytes that were found elsewhere
    freed: int  # bytes of the disk
    skipped: tuple[str, ...]  # layers in use


def dedup(ground: Ground, *, progress: Progress | None = None) -> Deduped:
    """Keep equal content once."""
    place = ground.place
    with ground.alone():
        lease.sweep(place.leases)
        in_use = {tag(digest) for _, _, digests in lease.held(place.leases) for digest in digests}
        layers = _scanned(place)
        dedup_plan.hash_candidates(layers, place.devices)
        sources = {move.source for layer in layers for move in layer.moved}
        places = Places()
        for number, layer in enumerate(layers):
            if not (layer.moved or layer.tag in sources or layer.tag in in_use):
                _note(place, layer, dedup_plan.runs(layer, places, place.devices))
            places.add(layer)
            if progress is not None:
                progress(f"layer {layer.tag[:12]}", number + 1, len(layers))
        due = [
            layer
            for layer in layers
            if layer.tag not in in_use and moves.are_due(place.devices / layer.tag, layer.moved)
        ]
        _renew_metadata(place, {layer.tag for layer in due})
        freed = sum(_punch(place, layer) for layer in due)
    skipped = tuple(layer.tag for layer in layers if layer.tag in in_use and not layer.moved)
    moved = sum(move.size for layer in due for move in layer.moved)
    return Deduped(tuple(layer.tag for layer in due), moved, freed, skipped)


def _scanned(place: Place) -> list[Scanned]:
    """Return all layers: first those that are sources or have moved data, then the largest first."""
    found = [
        dedup_plan.scan(path.name, path / forms.INDEX, moves.read(path))
        for path in sorted((place.root / "layers").iterdir())
    ]
    sources = {move.source for layer in found for move in layer.moved}

    def rank(layer: Scanned) -> tuple[bool, int, str]:
        fixed = layer.tag in sources or bool(layer.moved)
        return not fixed, -(place.devices / layer.tag).stat().st_size, layer.tag

    return sorted(found, key=rank)


def _note(place: Place, layer: Scanned, found: list[Move]) -> None:
    if not found:
        return
    store_format.add_feature(place, store_format.MOVED_DATA)
    target = place.root / "layers" / layer.tag / moves.NAME
    files.replace(target, moves.dump(found), temporary=place.temporary)
    layer.moved = found


def _renew_metadata(place: Place, changed: set[str]) -> None:
    """Make the metadata of every stack anew that has one of these layers."""
    for diff_ids in sorted({record.diff_ids for record in marking.records(place)}):
        if changed & {tag(diff_id) for diff_id in diff_ids}:
            layers = [forms.read_info(place, diff_id) for diff_id in diff_ids]
            metadata.renew(place, layers)
    needed = marking.needed(place).stacks
    for path in (place.root / "metadata").iterdir():
        if path.name not in needed:
            files.remove(path)  # it might still point at what is going to be a hole


def _punch(place: Place, layer: Scanned) -> int:
    """Replace a tar by one with holes for what was moved; returns the bytes that gives back."""
    old, name = place.devices / layer.tag, files.temporary_name(place.temporary)
    before = files.size_on_disk(old)
    source = os.open(old, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(name, _FLAGS, files.MODE)
        try:
            size = os.fstat(source).st_size
            os.ftruncate(target, size)
            for start, end in _data(source, layer.moved, size):
                _copy(source, target, start, end)
            os.fsync(target)
        finally:
            os.close(target)
        files.publish(name, old)
    finally:
        os.close(source)
        files.remove(name)
    return max(0, before - files.size_on_disk(old))


def _data(fd: int, moved: list[Move], size: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a tar that stay: neither moved nor holes already."""
    at = 0
    for move in [*moved, Move(size, 0, 0, "")]:
        while at < move.offset:
            try:
                start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole until the end
                break
            if start >= move.offset:
                break
            end = min(os.lseek(fd, start, os.SEEK_HOLE), move.offset)
            yield start, end
            at = end
        at = move.offset + move.size


def _copy(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        start += os.copy_file_range(source, target, min(_COPY, end - start), start, start)
