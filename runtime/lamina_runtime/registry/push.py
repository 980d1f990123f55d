"""Push: an image of the store to a registry.

Theory. Bottom up: blobs, then manifests, then what names them, so that a registry never holds a name for
something incomplete. What was received is sent byte for byte, with all its platforms if all of them are
here. Layers that were never compressed (built here, or loaded from docker's archives) are compressed on the
way unless the caller wants them as they are; then the manifest is another, and the name in the store
follows it.

Blobs that the registry may have under another of our names are mounted from there: every reference to the
same registry tells where its blobs are.
"""

import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import trio

from lamina_runtime.errors import LaminaError, NotFoundError
from lamina_runtime.oci import manifest, media
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.manifest import Index, Manifest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry import protocol
from lamina_runtime.registry.options import SessionOptions
from lamina_runtime.registry.progress import Progress, Silent
from lamina_runtime.registry.session import Session
from lamina_runtime.registry.sources import Source
from lamina_runtime.registry.threads import entered, for_all
from lamina_runtime.registry.upload import Upload
from lamina_runtime.store.references import Named
from lamina_runtime.store.store import Store
from lamina_runtime.value import replace

MAX_REFERENCES = 10_000  # looked at for places to mount from
in_thread = trio.to_thread.run_sync


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push left at the registry."""

    reference: Reference
    digest: Digest
    size: int  # of the document that the reference names

    @property
    def status(self) -> str:
        """The line that docker ends with."""
        return f"{self.reference.tag}: digest: {self.digest} size: {self.size}"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be sent: blobs, documents from the bottom up; the last one gets the name."""

    blobs: tuple[Descriptor, ...]
    documents: tuple[Manifest | Index, ...]


async def push(
    store: Store,
    reference: Reference,
    *,
    options: SessionOptions,
    progress: Progress | None = None,
    compression: str | None = "gzip",
    alone: bool = False,
) -> Pushed:
    """Send what `reference` names; `compression` is for layers that have none (None: as they are).

    `alone` sends the manifest without the index that it came from.
    """
    if reference.tag is None:
        raise LaminaError(f"{reference.familiar}: push needs a tag")
    async with Session(options) as session, entered(store.lease(f"push {reference}")):
        named = await in_thread(store.references.get, reference)
        if named is None:
            raise NotFoundError(f"{reference.familiar}: no such image")
        origin = replace(named, index=None) if alone else named
        plan = await in_thread(_plan, store, origin, compression)
        (source,) = session.sources(reference, push=True)
        mounts = await in_thread(_mounts, store, reference, {blob.digest for blob in plan.blobs})
        shown = progress or Silent()

        async def send(blob: Descriptor) -> None:
            await _send(store, session, source, blob, mounts.get(blob.digest, []), shown)

        await for_all(plan.blobs, send, limit=options.parallel)
        *below, top = plan.documents
        for document in below:
            await protocol.put_manifest(session, source, document)
        await protocol.put_manifest(session, source, top, tags=[reference.tag])
        if isinstance(top, Manifest) and top.digest != named.manifest.digest:
            await in_thread(_renew, store, named, top)
    return Pushed(reference, top.digest, len(top.raw))


def _renew(store: Store, named: Named, sent: Manifest) -> None:
    """Let a name stand for what was sent under it, unless it stands for something else by now."""
    with store.changing():
        if store.references.get(named.reference) == named:
            store.references.set(named.reference, named.image_id, sent.descriptor, None)


async def _send(
    store: Store, session: Session, source: Source, blob: Descriptor, mounts: list[str], progress: Progress
) -> None:
    key = blob.digest.short

    def opened() -> BinaryIO:
        return store.blobs.open(blob.digest)

    def advance(count: int) -> None:
        progress.advance(key, count)

    progress.start(key, blob.size, "Pushing")
    outcome = await Upload(session, source, blob, opened, advance).run(mount_from=mounts)
    text = f"{outcome.value} from {mounts[0]}" if outcome.value == "Mounted" else outcome.value
    progress.done(key, text)


def _plan(store: Store, named: Named, compression: str | None) -> _Plan:
    """Decide what to send."""
    whole = _whole(store, named)
    if whole:
        return whole
    raw = store.blobs.read(named.manifest.digest)
    chosen = manifest.parse(raw, named.manifest.media_type, algorithm=named.manifest.digest.algorithm)
    if not isinstance(chosen, Manifest):
        raise LaminaError(f"{named.manifest.digest}: not a manifest")
    layers = _forms(store, chosen, compression)
    if layers != chosen.layers:
        chosen = manifest.build_manifest(chosen.config, layers, chosen.annotations, chosen.media_type)
        store.blobs.add(chosen.raw, expected=chosen.digest)
    return _Plan(_blobs([chosen]), (chosen,))


def _whole(store: Store, named: Named) -> _Plan | None:
    """Return the plan for an index with everything below it; None if something is not here."""
    if named.index is None:
        return None
    documents: dict[Digest, Manifest | Index] = {}
    queue = [named.index]
    while queue:
        descriptor = queue.pop()
        if len(documents) > manifest.MAX_MANIFESTS or not store.blobs.has(descriptor.digest):
            return None
        if descriptor.digest in documents:
            continue
        raw = store.blobs.read(descriptor.digest)
        document = manifest.parse(raw, descriptor.media_type, algorithm=descriptor.digest.algorithm)
        documents[descriptor.digest] = document
        queue += document.manifests if isinstance(document, Index) else ()
    blobs = _blobs([document for document in documents.values() if isinstance(document, Manifest)])
    if not all(store.blobs.has(blob.digest) for blob in blobs):
        return None
    order = graphlib.TopologicalSorter({digest: _below(document) for digest, document in documents.items()})
    return _Plan(blobs, tuple(documents[digest] for digest in order.static_order()))


def _below(document: Manifest | Index) -> list[Digest]:
    return [entry.digest for entry in document.manifests] if isinstance(document, Index) else []


def _blobs(manifests: list[Manifest]) -> tuple[Descriptor, ...]:
    """Return what manifests consist of, each once; foreign layers are never pushed."""
    found: dict[Digest, Descriptor] = {}
    for document in manifests:
        for blob in (*document.layers, document.config):
            if not media.is_foreign(blob.media_type):
                found.setdefault(blob.digest, blob)
    return tuple(found.values())


def _forms(store: Store, chosen: Manifest, compression: str | None) -> tuple[Descriptor, ...]:
    """Return the layers in the form they are sent in: as they were received, else made."""
    raw = store.blobs.read(chosen.config.digest)
    config = ImageConfig.parse(raw, algorithm=chosen.config.digest.algorithm)
    found = []
    for diff_id, layer in zip(config.diff_ids, chosen.layers, strict=True):
        plain = media.compression(layer.media_type) == "none"
        wanted = layer.media_type
        if plain and compression and not media.is_foreign(layer.media_type):
            wanted = media.layer_type(compression, docker=media.is_docker(layer.media_type))
        if media.is_foreign(layer.media_type) or (
            wanted == layer.media_type and store.blobs.has(layer.digest)
        ):
            found.append(layer)
        else:
            found.append(store.layers.blob(diff_id, wanted))
    return tuple(found)


def _mounts(store: Store, reference: Reference, wanted: set[Digest]) -> dict[Digest, list[str]]:
    """Return the repositories of the same registry where blobs were pulled from or pushed to."""
    found: dict[Digest, list[str]] = {}
    for named in store.references.list()[:MAX_REFERENCES]:
        if named.reference.name == reference.name or named.reference.registry != reference.registry:
            continue
        for digest in _digests(store, named):
            places = found.setdefault(digest, [])
            if digest in wanted and named.reference.repository not in places:
                places.append(named.reference.repository)
    return found


def _digests(store: Store, named: Named) -> Iterator[Digest]:
    if not store.blobs.has(named.manifest.digest):
        return
    document = manifest.parse(store.blobs.read(named.manifest.digest), named.manifest.media_type)
    if isinstance(document, Manifest):
        yield document.config.digest
        yield from (layer.digest for layer in document.layers)
