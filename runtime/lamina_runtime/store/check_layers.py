"""Whether a layer is what it should be."""

from collections.abc import Iterator
from pathlib import Path

import xxhash

from lamina_runtime.errors import LaminaError
from lamina_runtime.layer import sums
from lamina_runtime.layer.scan import LayerScanner
from lamina_runtime.oci.digest import Digest, hasher
from lamina_runtime.store import assembled, forms
from lamina_runtime.store.forms import Form, LayerInfo
from lamina_runtime.store.place import Place, tag
from lamina_runtime.store.problem import Problem

PIECE = sums.PIECE


def layer(place: Place, path: Path, *, full: bool) -> Iterator[Problem]:
    """Yield what is wrong with the layer of which `path` is the directory."""
    info = forms.read_path(path)
    if info is None or tag(info.diff_id) != path.name:
        yield Problem("layer-damaged", path.name, "its record is missing or another layer's")
        return
    name = str(info.diff_id)
    for form in info.blobs:
        yield from _form(place, form)
    index = (path / forms.INDEX).read_bytes()
    yield from _index(name, index, info)
    try:
        yield from _tar(place, path, info, index if full else None)
    except FileNotFoundError as exc:
        yield Problem("layer-damaged", name, f"{exc.filename} is missing")


def _form(place: Place, form: Form) -> Iterator[Problem]:
    """Look at a blob if it is kept; it need not be."""
    name, path = str(form.descriptor.digest), place.blob(form.descriptor.digest)
    if not path.exists():
        return
    total, size = xxhash.xxh3_128(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            total.update(piece)
            size += len(piece)
    if size != form.descriptor.size:
        yield Problem("blob-damaged", name, f"it has {size} bytes, not {form.descriptor.size}")
    elif total.hexdigest() != form.sum:
        yield Problem("blob-damaged", name, "its content has changed on the disk")


def _index(name: str, index: bytes, info: LayerInfo) -> Iterator[Problem]:
    from lamina_native import image

    try:
        found = image.index_info(index)
    except image.IndexDamaged as exc:
        yield Problem("index-damaged", name, str(exc))
        return
    if (found.entries, found.tar_size) != (info.entries, info.size):
        yield Problem("index-damaged", name, "it is the index of another tar")


def _tar(place: Place, path: Path, info: LayerInfo, index: bytes | None) -> Iterator[Problem]:
    """Compare the tar with its sums; with an index also with diffID and index."""
    name = str(info.diff_id)
    digest = hasher(info.diff_id.algorithm)
    scanner = LayerScanner("layer") if index is not None else None
    refused: list[str] = []

    def pieces() -> Iterator[bytes]:
        with assembled.open_tar(place.devices, path) as file:
            while piece := file.read(PIECE):
                if scanner is not None and not refused:
                    digest.update(piece)
                    try:
                        scanner.feed(piece)
                    except LaminaError as exc:
                        refused.append(str(exc))
                yield piece

    damaged = list(sums.differing((path / forms.SUMS).read_bytes(), pieces()))
    for offset in damaged:
        yield Problem(
            "layer-damaged", name, f"its content has changed on the disk at byte {offset} or behind"
        )
    if scanner is None or damaged:
        return
    if refused or Digest(info.diff_id.algorithm, digest.hexdigest()) != info.diff_id:
        yield Problem("layer-damaged", name, "its content does not match its diffID")
    elif scanner.finish() != index:
        yield Problem("index-damaged", name, "a new index of the tar differs from it")
