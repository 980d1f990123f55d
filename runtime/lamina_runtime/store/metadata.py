"""Making the EROFS metadata of a stack of layers."""

import os
from collections.abc import Sequence
from pathlib import Path

from lamina_runtime.layer.errors import LayerError
from lamina_runtime.store import files, forms
from lamina_runtime.store.errors import StoreError
from lamina_runtime.store.forms import LayerInfo
from lamina_runtime.store.ground import Ground
from lamina_runtime.store.place import Place, tag

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def ensure(ground: Ground, layers: Sequence[LayerInfo]) -> Path:
    """Make the metadata of a stack, base first, unless it is there; returns its path."""
    path = ground.place.metadata([layer.diff_id for layer in layers])
    if path.exists():
        return path
    with ground.together():
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


def build(place: Place, layers: Sequence[LayerInfo], fd: int) -> None:
    """Write the metadata of a stack into an empty file."""
    from lamina_native import image  # listings do without the extension

    parts = [
        image.Layer(place.layer(each.diff_id) / forms.INDEX, place.device(each.diff_id), tag(each.diff_id))
        for each in layers
    ]
    try:
        image.build(fd, parts)
    except image.BuildRefused as exc:
        raise LayerError(f"image: {exc.reason}") from None
    except image.IndexDamaged as exc:
        raise StoreError(
            f"store {place.root}: {exc}", hint="lamina store check says what else is damaged"
        ) from None
