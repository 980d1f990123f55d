"""Layers for tests: from members or a tree to tar and index; a stack to an image."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lamina_native import image

from tests.erofs import images

Member = tuple[str, dict[str, Any]]


def tar(members: Iterable[Member], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Write members: a name, and attributes of a TarInfo with `data`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, attributes in members:
            info = tarfile.TarInfo(name)
            data = attributes.get("data", b"")
            for key, value in attributes.items():
                if key != "data":
                    setattr(info, key, value)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def scan(data: bytes, *, step: int = 1 << 16) -> bytes:
    """Return the index of a tar that arrives in pieces of `step` bytes."""
    with image.TarScanner() as scanner:
        for start in range(0, len(data), step):
            scanner.feed(data[start : start + step])
        return scanner.finish()


def build(top: Path, *tars: bytes, squash: tuple[int, int] | None = None) -> images.Image:
    """Build the image of layers, base first, below `top`."""
    top.mkdir()
    layers = []
    for number, data in enumerate(tars):
        layer = image.Layer(top / f"{number}.index", top / f"{number}.tar", f"{number:064x}")
        layer.index.write_bytes(scan(data))
        layer.tar.write_bytes(data)
        layers.append(layer)
    fd = os.open(top / "image", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        image.build(fd, layers, squash=squash)
    finally:
        os.close(fd)
    return images.Image(top / "image", tuple(layer.tar for layer in layers))
