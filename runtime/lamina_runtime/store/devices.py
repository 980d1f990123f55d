"""The device table of an EROFS image: which tars the image points into, in order."""

import os
from _struct import Struct

from lamina_runtime.fspath import Path
from lamina_runtime.store.errors import StoreError

_SUPER_OFFSET = 1024
_MAGIC = 0xE0F5E1E2
_SUPER = Struct("<I82xHH")  # magic, extra_devices, devt_slotoff
_SLOT = Struct("<64sII56x")  # tag, blocks, mapped_blkaddr


def tags(metadata: Path) -> tuple[str, ...]:
    """Return the tags of an image's devices."""
    fd = os.open(metadata, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(fd, _SUPER.size, _SUPER_OFFSET)
        if len(head) < _SUPER.size:
            raise StoreError(f"{metadata}: cut off")
        magic, count, first = _SUPER.unpack(head)
        if magic != _MAGIC:
            raise StoreError(f"{metadata}: not an EROFS image")
        table = os.pread(fd, count * _SLOT.size, first * _SLOT.size)
    finally:
        os.close(fd)
    if len(table) != count * _SLOT.size:
        raise StoreError(f"{metadata}: its device table is cut off")
    return tuple(slot[0].rstrip(b"\0").decode("ascii", "replace") for slot in _SLOT.iter_unpack(table))
