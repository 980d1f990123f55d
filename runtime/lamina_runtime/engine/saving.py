"""`lamina save`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lamina_runtime import contexts
from lamina_runtime.archive.saving import CONTENTS, Saved, write
from lamina_runtime.archive.targets import DirectoryTarget, TarTarget
from lamina_runtime.engine import naming, output_file
from lamina_runtime.errors import LaminaError
from lamina_runtime.oci.manifest import Manifest, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina_runtime.engine.context import Engine
    from lamina_runtime.oci.descriptor import Descriptor
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store import Store
    from lamina_runtime.store.images import Image

DOCKER, OCI, DIRECTORY = "docker-archive", "oci-archive", "oci-dir"
FORMATS = (DOCKER, OCI, DIRECTORY)


def save(
    engine: Engine,
    words: Sequence[str],
    *,
    form: str,
    path: str,
    stream: BinaryIO | None,
    platform: str = "",
) -> None:
    """Write images, all of them for `platform` if there is one, to a file, a directory or a stream."""
    store = engine.store
    with store.lease("save"):
        images = chosen(store, words)
        for saved in images if platform else ():
            naming.resolve_for(store, str(saved.image.id), platform)
        if form == DIRECTORY:
            with _filled(Path(path)) as top:
                write(store, images, DirectoryTarget(top), docker=False)
            return
        with output_file.created(os.fspath(path), stream) as file:
            archive = TarTarget(file)
            write(store, images, archive, docker=form == DOCKER)
            archive.end()


@contexts.contextmanager
def _filled(top: Path) -> Iterator[Path]:
    """Give a new or empty directory; if the block fails, it is that again."""
    try:
        top.mkdir()
        new = True
    except FileExistsError:
        new = False
    if any(top.iterdir()):
        raise LaminaError(f"{top}: not empty", hint="an OCI layout is written to a new directory")
    try:
        yield top
    except BaseException:
        for name in CONTENTS:
            path = top / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if new:
            with contexts.suppress(OSError):  # somebody else put something there
                top.rmdir()
        raise


def chosen(store: Store, words: Sequence[str]) -> list[Saved]:
    """Return the images that words mean, each manifest once, with the names by which it was called.

    A name without a tag means all tags of the repository, as docker has it.
    """
    found: dict[Digest, tuple[Image, Descriptor, dict[Reference, None]]] = {}
    for word in words:
        for image, manifest, reference in _meant(store, word):
            names = found.setdefault(manifest.digest, (image, manifest, {}))[2]
            if reference is not None:
                names[reference] = None
    return [Saved(image, _read(store, manifest), tuple(names)) for image, manifest, names in found.values()]


def _read(store: Store, described: Descriptor) -> Manifest:
    raw = store.blobs.read(described.digest)
    document = parse(raw, described.media_type, algorithm=described.digest.algorithm)
    if not isinstance(document, Manifest):
        raise LaminaError(f"{described.digest}: not the manifest of an image")
    return document


def _meant(store: Store, word: str) -> list[tuple[Image, Descriptor, Reference | None]]:
    named = store.references.list()
    if ":" not in word.rpartition("/")[2] and "@" not in word:
        tags = [
            (store.images.get(one.image_id), one.manifest, one.reference)
            for one in named
            if one.reference.tag and word in (one.reference.familiar_name, one.reference.name)
        ]
        if tags:
            return list(tags)
    image, reference = naming.resolve(store, word)
    if reference is None or reference.tag is None:
        return [(image, image.manifests[-1], None)]
    known = next(one for one in named if one.reference == reference.with_tag(reference.tag))
    return [(image, known.manifest, known.reference)]
