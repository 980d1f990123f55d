"""From an archive into the store.

Theory.  What the archive says is read and checked first as far as its form allows; then the layers
come, several at a time, each verified against its diffID (and its digest, where a manifest names
one); only when everything is there do images appear, and names last.  All of it is held by the
load's lease.  If anything is refused, what was brought goes again, unless somebody needs it by now.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lamina_runtime.archive import docker_archive, legacy, oci_layout
from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.archive.layout_directory import LayoutDirectory
from lamina_runtime.archive.opening import STDIN, Plain, opened
from lamina_runtime.archive.sources import Advance, Archive, IndexedTar, PassingTar, Sink
from lamina_runtime.archive.wanted import Part, Wanted
from lamina_runtime.oci import media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.errors import MismatchError
from lamina_runtime.oci.manifest import Manifest, build_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.oci.platform import Platform
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store.forms import LayerInfo
    from lamina_runtime.store.lease import Lease
    from lamina_runtime.store.store import Store

AT_ONCE = 2  # layers; each has threads of its own for decompressing and hashing
SMALL = 256 << 10  # layers up to this have none, but wait for the disk: many at once share its commits
SMALL_AT_ONCE = 12


class Progress(Protocol):
    """Who is told how it goes."""

    def start(self, name: str, total: int | None, text: str) -> None:
        """Begin something of `total` bytes."""

    def advance(self, name: str, count: int) -> None:
        """Go on by `count` bytes."""

    def done(self, name: str, text: str) -> None:
        """End something."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of an archive is wanted."""

    platform: Platform
    strict: bool = False  # no other platform will do
    repository: str = ""  # for images that have a bare tag only


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that was loaded, and the names that it got."""

    id: Digest
    names: tuple[Reference, ...]


def load(store: Store, name: str, choice: Choice, progress: Progress) -> list[Loaded]:
    """Load all images of an archive; raise ArchiveError, OciError or IntegrityError."""
    with store.attempt(f"load {name}") as lease, _archive(store, name, progress) as archive:
        found = _images(archive, choice, lambda part: _layer(store, archive, part, progress))
        _take_layers(store, archive, found, progress)
        for wanted in found:  # all of them, before one appears
            store.images.prepare(wanted.config.diff_ids)
        return [_install(store, wanted, lease) for wanted in found]


@contextmanager
def _archive(store: Store, name: str, progress: Progress) -> Iterator[Archive]:
    """Open whatever was named."""

    def opener(descriptor: Descriptor | None, diff_id: Digest | None) -> AbstractContextManager[Sink]:
        return store.layers.writer(descriptor, diff_id=diff_id, keep_blob=descriptor is not None)

    if name != STDIN and stat.S_ISDIR(os.stat(name).st_mode):
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield LayoutDirectory(directory, opener)
        finally:
            os.close(directory)
        return
    with opened(name) as stream:
        if isinstance(stream, Plain) and stream.seekable:
            yield IndexedTar(stream.fileno(), stream, opener)
            return
        progress.start("archive", stream.size or None, "Loading")
        yield PassingTar(stream, opener, lambda count: progress.advance("archive", count))
        progress.done("archive", "Load complete")


def _images(archive: Archive, choice: Choice, layer: Callable[[Part], LayerInfo]) -> list[Wanted]:
    """Return what the archive says that it holds, in whichever of the formats."""
    found: list[Wanted] = []
    if archive.has(oci_layout.LAYOUT) and archive.has(oci_layout.INDEX):
        reader = oci_layout.Reader(
            archive, choice.platform, strict=choice.strict, repository=choice.repository
        )
        found = reader.images()
    if archive.has(docker_archive.MANIFEST):
        found = _merged(found, docker_archive.images(archive))
    elif not found and archive.has(legacy.REPOSITORIES):
        found = [_from_chain(chain, layer) for chain in legacy.chains(archive)]
    if choice.strict:
        found = [wanted for wanted in found if choice.platform.rank(wanted.config.platform) is not None]
    if not found:
        what = f" for {choice.platform}" if choice.strict else ""
        raise ArchiveError(
            f"the archive holds no image{what}",
            hint="" if what else "'lamina import' makes an image of a tree",
        )
    return found


def _merged(first: list[Wanted], second: list[Wanted]) -> list[Wanted]:
    """Join what index.json and manifest.json say of the same images; the former knows their manifests."""
    found = list(first)
    for wanted in second:
        for number, known in enumerate(found):
            if known.config.id == wanted.config.id:
                names = tuple(dict.fromkeys((*known.names, *wanted.names)))
                found[number] = Wanted(known.config, known.parts, known.manifest, known.index, names)
                break
        else:
            found.append(wanted)
    return found


def _from_chain(chain: legacy.Chain, layer: Callable[[Part], LayerInfo]) -> Wanted:
    infos = [layer(Part(name, None)) for name in chain.layers]
    config = chain.config([info.diff_id for info in infos])
    parts = tuple(Part(name, info.diff_id) for name, info in zip(chain.layers, infos, strict=True))
    return Wanted(config, parts, names=chain.names)


def _take_layers(store: Store, archive: Archive, found: Sequence[Wanted], progress: Progress) -> None:
    """Bring in what is missing; equal layers of several images once."""
    parts = {
        (part.diff_id, part.descriptor and (part.descriptor.digest, part.descriptor.size)): part
        for one in found
        for part in one.parts
    }
    gate = threading.BoundedSemaphore(AT_ONCE)

    def take(part: Part) -> None:
        with gate if archive.size(part.name) > SMALL else contextlib.nullcontext():
            _layer(store, archive, part, progress)

    with ThreadPoolExecutor(SMALL_AT_ONCE, thread_name_prefix="load") as pool:
        futures = [pool.submit(take, part) for part in parts.values()]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _layer(store: Store, archive: Archive, part: Part, progress: Progress) -> LayerInfo:
    """See to it that one layer is there and is the one that is meant."""
    name = part.diff_id.short if part.diff_id else part.name[:12]
    if part.diff_id and not archive.passing and _is_here(store, part.diff_id, part.descriptor):
        progress.done(name, "Layer already exists")
        return store.layers.info(part.diff_id)
    size = archive.size(part.name)
    if part.descriptor is not None and part.descriptor.size != size:
        raise MismatchError(part.name, expected=f"{part.descriptor.size} bytes", actual=f"{size} bytes")
    progress.start(name, size, "Loading layer")
    advance: Advance = lambda count: progress.advance(name, count)  # noqa: E731 - of a declared type
    info = archive.layer(part.name, part.descriptor, part.diff_id, advance)
    if part.diff_id and info.diff_id != part.diff_id:
        raise MismatchError(part.name, expected=part.diff_id, actual=info.diff_id)
    progress.done(name, "Load complete")
    return info


def _is_here(store: Store, diff_id: Digest, blob: Descriptor | None) -> bool:
    """Say whether a layer is here, and as the blob that a manifest names."""
    if blob is None:
        return store.layers.has(diff_id)
    return store.layers.is_known_as(diff_id, blob) and store.blobs.has(blob.digest)


def _install(store: Store, wanted: Wanted, lease: Lease) -> Loaded:
    """Let an image appear, now that its parts are there."""
    manifest = wanted.manifest or made_manifest(store, wanted)
    image = store.images.add(manifest, wanted.config, lease, names=wanted.names, index=wanted.index)
    return Loaded(image.id, wanted.names)


def made_manifest(store: Store, wanted: Wanted) -> Manifest:
    """Make the manifest that a docker-archive lacks: OCI's, over the layers as tars."""
    layers = [store.layers.info(diff_id) for diff_id in wanted.config.diff_ids]
    return build_manifest(
        wanted.config.descriptor(),
        [Descriptor(media.OCI_LAYER, layer.diff_id, layer.size) for layer in layers],
    )
