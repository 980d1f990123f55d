"""Removing what nobody needs.

Theory.  All of it happens while the store's lock is held alone: marking, sweeping, and that
includes what transfers left behind.  A layer disappears by one rename before its parts are
removed, so that a crash in the middle leaves only strays, which the next collection takes.
"""

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import files, lease, marking
from lamina_runtime.store.ground import Ground
from lamina_runtime.store.partial import PREFIX
from lamina_runtime.store.place import Place, tag

PATIENCE = 24 * 3600.0  # seconds for which an interrupted transfer can be gone on with


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What was removed, or would be; `size` in bytes of the disk."""

    size: int
    blobs: tuple[Digest, ...]
    layers: tuple[str, ...]  # tags: diffIDs in hexadecimal
    others: int  # metadata, interrupted transfers, strays


def collect(ground: Ground, *, dry_run: bool, only: Collection[Digest] | None = None) -> Reclaimed:
    """Remove what nobody needs; with `only`, just what is named by it."""
    place = ground.place
    with ground.together() if dry_run else ground.alone():
        if not dry_run:
            lease.sweep(place.leases)
        # Listed first, marked then: what others add meanwhile is not there, or is marked.
        blobs, layers = list(marking.blob_files(place)), _listed(place.root / "layers")
        loose, stacks = _listed(place.devices), _listed(place.root / "metadata")
        needed = marking.needed(place)
        blobs = [(digest, path) for digest, path in blobs if digest not in needed.blobs]
        layers = [path for path in layers if path.name not in needed.tags]
        stacks = [path for path in stacks if path.name not in needed.stacks]
        if only is None:
            others = [*stacks, *_left(place, loose)]
        else:
            tags, names = {tag(digest) for digest in only}, {digest.hex for digest in only}
            blobs = [(digest, path) for digest, path in blobs if digest in only]
            layers = [path for path in layers if path.name in tags]
            others = [path for path in stacks if path.name in names]
        doomed = [path for _, path in blobs] + others
        size = sum(map(_size, doomed)) + sum(_size(path) for layer in layers for path in _parts(place, layer))
        if not dry_run:
            for layer in layers:
                _remove_layer(place, layer)
            for path in doomed:
                _remove(path)
    return Reclaimed(
        size, tuple(digest for digest, _ in blobs), tuple(path.name for path in layers), len(others)
    )


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _left(place: Place, devices: list[Path]) -> Iterator[Path]:
    """Yield tars without a layer and what nobody makes any more.

    What ends by itself, a transfer or a lease, takes no lock, so it may vanish while we look.
    """
    layers = {path.name for path in (place.root / "layers").iterdir()}
    yield from (path for path in devices if path.name not in layers)
    for path in _listed(place.temporary):
        if not files.is_held(path) and not (path.name.startswith(PREFIX) and _is_young(path)):
            yield path


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime < PATIENCE
    except FileNotFoundError:
        return True


def _parts(place: Place, layer: Path) -> list[Path]:
    return [layer, place.devices / layer.name]


def _size(path: Path) -> int:
    return sum(map(files.size_on_disk, files.below(path)))


def _remove_layer(place: Place, layer: Path) -> None:
    aside = files.temporary_name(place.temporary)
    os.rename(layer, aside)
    files.remove(place.devices / layer.name)
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        files.remove_tree(path)
    else:
        files.remove(path)
