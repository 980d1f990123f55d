"""What is fuzzed: each target reads bytes from strangers and may do so, or refuse with a LaminaError.

Anything else that comes out of one, and anything that takes long, is a finding.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from unittest.mock import patch

from lamina_runtime.archive import loading
from lamina_runtime.archive.opening import Decompressed, Plain
from lamina_runtime.archive.sources import Archive, IndexedTar, PassingTar, Sink
from lamina_runtime.archive.wanted import Part
from lamina_runtime.errors import LaminaError
from lamina_runtime.layer import decompress
from lamina_runtime.oci import json, manifest
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.platform import Platform
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry import challenges, failures, protocol, search, tokens
from lamina_runtime.store.forms import LayerInfo

HERE = Platform("linux", "amd64")
MOST = 64 << 20  # bytes that an input may decompress to here


def document(data: bytes) -> None:
    """Any JSON."""
    json.dump(json.load(data, "fuzz"))


def image_manifest(data: bytes) -> None:
    """Manifests and indexes, and the choice of a platform."""
    found = manifest.parse(data)
    assert found.raw == data
    if isinstance(found, manifest.Index):
        for entry in manifest.candidates(found, HERE):
            assert Descriptor.from_json(entry.to_json()).digest == entry.digest
    else:
        again = manifest.build_manifest(found.config, found.layers, found.annotations, found.media_type)
        assert again.layers == found.layers


def image_config(data: bytes) -> None:
    """Configurations: read, edited, read again."""
    found = ImageConfig.parse(data)
    assert found.raw == data
    edited = found.edit(config=found.config, fields={"author": "x"})
    again = ImageConfig.parse(edited.raw)
    assert (again.diff_ids, again.config, again.history) == (found.diff_ids, found.config, found.history)
    HERE.rank(found.platform)


def words(data: bytes) -> None:
    """Names, digests and platforms; what is read says the same again."""
    text = data.decode("utf-8", "replace")
    for kind in (Reference, Digest, Platform):
        with contextlib.suppress(LaminaError):
            read = kind.parse(text)
            assert kind.parse(str(read)) == read


def replies(data: bytes) -> None:
    """What registries and token servers answer, headers among it."""
    text = data.decode("latin-1")
    challenges.parse([text])
    protocol.next_link([text])
    failures.problems(data)
    str(failures.refusal("fuzz", 500, data))
    realm = tokens.Realm("https://example.com/token", "service")
    with contextlib.suppress(LaminaError), patch.object(tokens.trio, "current_time", return_value=0.0):
        tokens._read(data, realm)
    with contextlib.suppress(LaminaError):
        answer = json.load_object(data, "fuzz", limit=1 << 20)
        answer.texts("tags")
        for read in (search._version_1, search._harbor, search._quay):
            with contextlib.suppress(LaminaError):
                read(answer, "example.com")


class _Sink:
    """Takes layers for the archives; what it is given is counted and forgotten."""

    def __init__(self) -> None:
        self.offset = self._taken = 0

    def write(self, data: bytes, /) -> None:
        self._taken += len(data)

    def commit(self) -> LayerInfo:
        return LayerInfo(Digest.of(b""), self._taken, 0, 0)


@contextlib.contextmanager
def _opener(_descriptor: Descriptor | None, _diff_id: Digest | None) -> Iterator[Sink]:
    yield _Sink()


def _layer(archive: Archive, part: Part) -> LayerInfo:
    return archive.layer(part.name, None, None, lambda _count: None)


def archive(data: bytes) -> None:
    """Archives of every kind, read at any place and passing by."""
    choice = loading.Choice(HERE)
    fd = os.memfd_create("fuzz")
    with open(fd, "w+b", buffering=0) as file:
        file.write(data)
        for passing in (False, True):
            file.seek(0)
            with contextlib.suppress(LaminaError):
                found = (
                    PassingTar(_stream(Plain(file)), _opener, lambda _count: None)
                    if passing
                    else IndexedTar(fd, Plain(file), _opener)
                )
                loading._images(found, choice, partial(_layer, found))


def _stream(plain: Plain) -> Plain | io.BytesIO:
    compression = decompress.detect(plain.peek(decompress.HEAD))
    if compression == "none":
        return plain
    unpacked, whole = Decompressed(plain, compression), io.BytesIO()
    while whole.tell() < MOST and (piece := unpacked.read(1 << 20)):
        whole.write(piece)
    whole.seek(0)
    return whole


TARGETS: dict[str, Callable[[bytes], None]] = {
    "document": document,
    "image_manifest": image_manifest,
    "image_config": image_config,
    "words": words,
    "replies": replies,
    "archive": archive,
}


def tried(name: str, data: bytes) -> bool:
    """Give an input to a target; say whether it was taken.  Raises what is a finding."""
    try:
        TARGETS[name](data)
    except LaminaError as exc:
        assert "\n" not in str(exc), "an error is one line"
        return False
    return True
