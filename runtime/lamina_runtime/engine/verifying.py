"""`lamina image verify`: every part of an image against its digest and its size."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import MismatchError

if TYPE_CHECKING:
    from typing import BinaryIO

    from lamina_runtime.store import Store
    from lamina_runtime.store.images import Image

PIECE = 1 << 20


def verify(store: Store, image: Image) -> None:
    """Read an image whole; raise MismatchError for the first part that is not what it should be."""
    with store.lease(f"verify {image.id.short}"):
        manifest, config = image.manifest, image.config  # reading them verifies them
        _expect("image configuration", manifest.config.digest, config.id)
        for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True):
            with store.layers.open(diff_id) as file:
                _expect(f"layer {diff_id.short}", diff_id, _digest(file, diff_id.algorithm))
            if layer.digest != diff_id and store.blobs.has(layer.digest):
                with store.blobs.open(layer.digest) as file:
                    _expect(f"blob {layer.digest.short}", layer.digest, _digest(file, layer.digest.algorithm))
            if not store.layers.is_known_as(diff_id, layer):
                raise MismatchError(f"layer {diff_id.short}", expected=layer.digest, actual="another form")


def _digest(file: BinaryIO, algorithm: str) -> Digest:
    hasher = hashlib.new(algorithm)
    while data := file.read(PIECE):
        hasher.update(data)
    return Digest(algorithm, hasher.hexdigest())


def _expect(what: str, expected: Digest, actual: Digest) -> None:
    if actual != expected:
        raise MismatchError(what, expected=expected, actual=actual)
