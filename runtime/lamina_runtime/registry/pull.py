"""Pull: what a reference names at its registry, into the store.

Theory. Index, platform's manifest, configuration, layers: each by the digest that the one before names, so
only the first answer rests on the registry's word. Documents and layers that the store has are not fetched;
the first is not either if a HEAD says that it is the one we know. A layer is one that the store has if it
was that very blob once, of that size: a manifest is not believed what nobody has seen. Everything that is
added or found there is held by a lease until the image and its name refer to it. Mirrors are asked in order,
the origin last; what broke off at one is continued at the next, since content is named by its digest.
A pull that fails takes its documents back; layers and parts of them stay for the next one.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import trio

from lamina_runtime.errors import IntegrityError, NetworkError
from lamina_runtime.layer.errors import LayerError
from lamina_runtime.oci import manifest
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.manifest import Index, Manifest
from lamina_runtime.oci.platform import Platform
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry import protocol
from lamina_runtime.registry.download import Download, get_blob
from lamina_runtime.registry.failures import MissingError
from lamina_runtime.registry.options import SessionOptions
from lamina_runtime.registry.progress import Progress, Silent
from lamina_runtime.registry.ratelimit import RateLimit
from lamina_runtime.registry.session import Session
from lamina_runtime.registry.sources import Source
from lamina_runtime.registry.threads import entered, for_all
from lamina_runtime.store.images import Image
from lamina_runtime.store.lease import Lease
from lamina_runtime.store.store import Store

T = TypeVar("T")
in_thread = trio.to_thread.run_sync


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought."""

    reference: Reference
    image: Image
    digest: Digest  # of what the reference names: an index, or a manifest
    new: bool
    rate_limit: RateLimit | None = None

    @property
    def status(self) -> str:
        """The line that docker ends with."""
        what = "Downloaded newer image" if self.new else "Image is up to date"
        return f"Status: {what} for {self.reference.familiar}"


async def pull(
    store: Store,
    reference: Reference,
    *,
    platform: Platform,
    strict: bool = False,
    options: SessionOptions,
    progress: Progress | None = None,
    keep_blobs: bool = True,
) -> Pulled:
    """Bring the image that `reference` names for `platform` into the store, and let it be its name there.

    An index is chosen from; an image that is no part of one is refused for its platform only if `strict`.
    """
    async with Session(options) as session:
        shown = progress or Silent()
        one = _Pull(store, session, reference, platform, shown, strict=strict, keep_blobs=keep_blobs)
        return await one.run()


async def pull_all_tags(
    store: Store,
    reference: Reference,
    *,
    platform: Platform,
    strict: bool = False,
    options: SessionOptions,
    progress: Progress | None = None,
    keep_blobs: bool = True,
) -> list[Pulled]:
    """Pull every tag of a repository, as `docker pull --all-tags` does."""
    async with Session(options) as session:

        async def listed(source: Source) -> list[str]:
            return await protocol.tags(session, source)

        found, shown = [], progress or Silent()
        for tag in sorted(await first_of(session.sources(reference), listed)):
            named = reference.with_tag(tag)
            one = _Pull(store, session, named, platform, shown, strict=strict, keep_blobs=keep_blobs)
            found.append(await one.run())
    return found


async def first_of(places: Sequence[Source], attempt: Callable[[Source], Awaitable[T]]) -> T:
    """Try places in order; raises the failure of the last one, which is the origin."""
    *mirrors, origin = places
    for mirror in mirrors:
        try:
            return await attempt(mirror)
        except (NetworkError, IntegrityError, LayerError, OciError):
            continue
    return await attempt(origin)


class _Pull:
    """One reference on its way into the store."""

    def __init__(
        self,
        store: Store,
        session: Session,
        reference: Reference,
        platform: Platform,
        progress: Progress,
        *,
        strict: bool,
        keep_blobs: bool,
    ) -> None:
        self._store, self._session, self._progress = store, session, progress
        # As docker has it, a digest beside a tag makes the tag meaningless.
        self._reference = reference.with_digest(reference.digest) if reference.digest else reference
        self._platform, self._strict, self._keep_blobs = platform, strict, keep_blobs
        self._places = session.sources(self._reference)

    async def run(self) -> Pulled:
        async with entered(self._store.attempt(f"pull {self._reference}")) as lease:
            before = await in_thread(self._store.references.get, self._reference)
            top = await self._top(known=before is not None)
            chosen = await self._choose(top)
            image = await self._image(chosen, top, lease)
            new = before is None or before.image_id != image.id
        limit = next(iter(self._session.rate_limits.values()), None)
        return Pulled(self._reference, image, top.digest, new, limit)

    async def _top(self, *, known: bool) -> Manifest | Index:
        """Return the document that the reference names."""
        digest = self._reference.digest
        if digest is None and known:
            digest = await self._current()
        if digest is not None and (stored := await self._stored(digest)) is not None:
            return manifest.parse(stored, algorithm=digest.algorithm)
        name = protocol.identity(self._reference)

        async def fetch(source: Source) -> Manifest | Index:
            return (await protocol.get_manifest(self._session, source, name)).document

        try:
            found = await first_of(self._places, fetch)
        except MissingError as exc:
            raise MissingError(
                f"{self._reference.familiar}: not found", status=exc.status, problems=exc.problems
            ) from exc
        await self._keep(found.raw, found.digest)
        return found

    async def _current(self) -> Digest | None:
        """Return the digest of what the tag names at the moment; None if that cannot be had by a HEAD."""

        async def head(source: Source) -> Descriptor | None:
            return await protocol.head_manifest(self._session, source, protocol.identity(self._reference))

        try:
            found = await first_of(self._places, head)
        except MissingError:
            return None  # the GET says it better
        return found.digest if found else None

    async def _choose(self, top: Manifest | Index) -> Manifest:
        """Return the manifest for the platform."""
        search = manifest.resolve(top, self._platform)
        try:
            wanted = next(search)
            while True:
                wanted = search.send(await self._document(wanted))
        except StopIteration as end:
            chosen: Manifest = end.value
        if not chosen.is_image:
            kind = chosen.artifact_type or chosen.config.media_type
            raise OciError(f"{self._reference.familiar}: not an image but {kind[:200]!r}")
        return chosen

    async def _document(self, wanted: Descriptor) -> Manifest | Index:
        raw = await self._stored(wanted.digest)
        if raw is None:

            async def fetch(source: Source) -> bytes:
                got = await protocol.get_manifest(self._session, source, str(wanted.digest))
                return wanted.verify(got.document.raw, f"{source}: manifest")

            raw = await first_of(self._places, fetch)
            await self._keep(raw, wanted.digest)
        return manifest.parse(raw, wanted.media_type, algorithm=wanted.digest.algorithm)

    async def _image(self, chosen: Manifest, top: Manifest | Index, lease: Lease) -> Image:
        config = await self._configuration(chosen.config)
        if self._strict and top is chosen and self._platform.rank(config.platform) is None:
            raise OciError(
                f"{self._reference.familiar}: no image for {self._platform}",
                details=f"it is for {config.platform}",
            )
        if len(config.diff_ids) != len(chosen.layers):
            raise OciError(
                f"{self._reference.familiar}: {len(chosen.layers)} layers and {len(config.diff_ids)} diff ids"
            )
        pairs = zip(config.diff_ids, chosen.layers, strict=True)  # one of each: empty ones come often
        layers = {(diff_id, one.digest, one.size): (diff_id, one) for diff_id, one in pairs}
        limit = self._session.options.parallel
        lease.lasting.update(config.diff_ids, (one.digest for one in chosen.layers))
        await for_all(layers.values(), self._layer, limit=limit)
        index = top if isinstance(top, Index) else None

        def add() -> Image:
            return self._store.images.add(chosen, config, lease, names=[self._reference], index=index)

        return await in_thread(add)

    async def _configuration(self, wanted: Descriptor) -> ImageConfig:
        raw = await self._stored(wanted.digest)
        if raw is None:

            async def fetch(source: Source) -> bytes:
                return await get_blob(self._session, source, wanted)

            raw = await first_of(self._places, fetch)
            await self._keep(raw, wanted.digest)
        return ImageConfig.parse(raw, algorithm=wanted.digest.algorithm)

    async def _layer(self, item: tuple[Digest, Descriptor]) -> None:
        diff_id, descriptor = item
        key = descriptor.digest.short
        if await in_thread(self._store.layers.is_known_as, diff_id, descriptor):
            self._progress.done(key, "Already exists")
            return
        self._progress.start(key, descriptor.size, "Downloading")
        writing = self._store.layers.writer(descriptor, diff_id=diff_id, keep_blob=self._keep_blobs)
        async with entered(writing) as writer:

            async def fetch(source: Source) -> object:
                advance = lambda count: self._progress.advance(key, count)  # noqa: E731
                return await Download(self._session, descriptor, writer, advance).run(source)

            await first_of(self._places, fetch)
        self._progress.done(key, "Pull complete")

    async def _stored(self, digest: Digest) -> bytes | None:
        if not await in_thread(self._store.blobs.has, digest):
            return None
        return await in_thread(self._store.blobs.read, digest)

    async def _keep(self, raw: bytes, digest: Digest) -> None:
        def add() -> None:
            self._store.blobs.add(raw, expected=digest)

        await in_thread(add)
