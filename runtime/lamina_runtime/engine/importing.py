"""`lamina import`: a tarball's tree becomes an image of one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from lamina_runtime import contexts
from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.archive.opening import plainly_opened
from lamina_runtime.engine import changes, moments, naming
from lamina_runtime.engine.machine import own_platform
from lamina_runtime.errors import UsageError
from lamina_runtime.oci import json, media
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.container import History
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.manifest import build_manifest
from lamina_runtime.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina_runtime.archive.loading import Progress
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store.forms import LayerInfo

PIECE = 1 << 20
NAME = "tarball"


class Readable(Protocol):
    """A stream of the tarball's bytes."""

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes."""


class Wish(NamedTuple):
    """What the image is to say of itself."""

    name: Reference | None
    changes: Sequence[str]
    message: str
    platform: Platform


def import_(
    engine: Engine,
    source: str,
    *,
    name: str,
    changes: Sequence[str],
    message: str,
    platform: str,
    progress: Progress,
) -> Digest:
    """Make an image of a tarball in a file, at a URL, or on stdin; return its id."""
    wish = Wish(
        naming.target(name) if name else None,
        changes,
        json.writable(message or f"Imported from {source}"),
        Platform.parse(platform) if platform else own_platform(),
    )
    created = moments.creation_time()
    plain = _edited(wish, created=created)  # before anything is read: changes may be refused, and that time
    with engine.store.attempt(f"import {source}") as lease:
        with _opened(source) as (stream, size):
            layer = _take(engine, stream, size, progress)
        config = plain.with_step(History(created=created, comment=wish.message), layer.diff_id)
        manifest = build_manifest(
            config.descriptor(), [Descriptor(media.OCI_LAYER, layer.diff_id, layer.size)]
        )
        names = [wish.name] if wish.name else []
        return engine.store.images.add(manifest, config, lease, names=names).id


@contexts.contextmanager
def _opened(source: str) -> Iterator[tuple[Readable, int]]:
    """Open the tarball; its size is 0 if it is not known."""
    if source.startswith(("http://", "https://")):
        from lamina_unionfs.complete_path import complete

        complete()
        from lamina_runtime.engine.fetching import fetched

        with fetched(source) as body:
            yield body, body.size
        return
    if "://" in source:
        raise UsageError(f"{source}: only http and https URLs can be imported")
    with plainly_opened(source) as plain:
        yield plain, plain.size


def _take(engine: Engine, stream: Readable, size: int, progress: Progress) -> LayerInfo:
    progress.start(NAME, size or None, "Importing")
    with engine.store.layers.writer(None, diff_id=None, keep_blob=False) as writer:
        while data := stream.read(PIECE):
            writer.write(data)
            progress.advance(NAME, len(data))
        layer = writer.commit()
    if not layer.size:
        raise ArchiveError("the tarball is empty")
    progress.done(NAME, "Import complete")
    return layer


def _edited(wish: Wish, *, created: str) -> ImageConfig:
    plain = ImageConfig.new(wish.platform, created=created)
    return plain.edit(config=changes.apply(plain.config, wish.changes))
