"""Making the EROFS metadata of a stack of layers."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lamina_runtime.layer.errors import LayerError
from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import files, forms, moves
from lamina_runtime.store.errors import StoreError
from lamina_runtime.store.forms import LayerInfo
from lamina_runtime.store.ground import Ground
from lamina_runtime.store.place import Place, tag

if TYPE_CHECKING:
    from lamina_native.image import Layer

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def ensure(ground: Ground, layers: Sequence[LayerInfo]) -> Path:
    """Make the metadata of a stack, base first, unless it is there; returns its path."""
    path = ground.place.metadata([layer.diff_id for layer in layers])
    if path.exists():
        return path
    with ground.adding():
        ground.bring(Digest("sha256", path.name))
        name = files.temporary_name(ground.place.temporary)
        try:
            write(ground.place, layers, name)
            files.publish(name, path)
        finally:
            name.unlink(missing_ok=True)
    return path


def write(place: Place, layers: Sequence[LayerInfo], path: Path) -> None:
    """Write the metadata of a stack into a new file and bring it to the disk."""
    fd = os.open(path, _FLAGS, files.MODE)
    try:
        build(place, layers, fd)
        os.fsync(fd)
    finally:
        os.close(fd)


def renew(place: Place, layers: Sequence[LayerInfo]) -> None:
    """Make the metadata of a stack again, in place of what is there; only under the lock, alone."""
    name = files.temporary_name(place.temporary)
    try:
        write(place, layers, name)
        files.publish(name, place.metadata([layer.diff_id for layer in layers]))
    finally:
        name.unlink(missing_ok=True)


def build(place: Place, layers: Sequence[LayerInfo], fd: int, *, before_dedup: bool = False) -> None:
    """Write the metadata of a stack into an empty file.

    `before_dedup` gives what it was before a dedup that was interrupted.
    """
    from lamina_native import image  # listings do without the extension

    parts = list(_parts(place, [tag(each.diff_id) for each in layers], before_dedup=before_dedup))
    try:
        image.build(fd, parts)
    except image.BuildRefused as exc:
        raise LayerError(f"image: {exc.reason}") from None
    except image.IndexDamaged as exc:
        raise StoreError(
            f"store {place.root}: {exc}", hint="lamina store check says what else is damaged"
        ) from None


def _parts(place: Place, stack: Sequence[str], *, before_dedup: bool) -> "Iterator[Layer]":
    """Yield the layers for the builder, then the tars in which data of theirs lies."""
    from lamina_native.image import Layer, Move

    moved = {name: moves.read(place.root / "layers" / name) for name in stack}
    if before_dedup:
        due = {name for name in stack if moves.are_due(place.devices / name, moved[name])}
        moved.update({name: [] for name in due})
    others = sorted({move.source for found in moved.values() for move in found} - set(stack))
    numbers = {name: number for number, name in reversed(list(enumerate([*stack, *others])))}
    for name in stack:
        found = [
            Move(move.offset, move.size, numbers[move.source], move.source_offset) for move in moved[name]
        ]
        yield Layer(place.root / "layers" / name / forms.INDEX, place.devices / name, name, tuple(found))
    for name in others:
        yield Layer(None, place.devices / name, name, ())
