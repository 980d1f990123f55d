"""Removing images: names first, then what nobody names any more.

The rules are docker's.  By name: the name goes; the image goes with its last name.  By id: all
its names and the image go, but only by force if there are several.  A mounted image stays,
force or not; a name of it may go as long as another is left.

All of that is looked up and done while nobody else changes images and names; who mounts an image
or makes a container of it notes that in the same way, so that neither misses the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lamina_runtime.engine import containers, filters, listing, mounts, naming, unpacked
from lamina_runtime.errors import LaminaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina_runtime.engine.context import Engine
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store.images import Image
    from lamina_runtime.store.references import Named


class ConflictError(LaminaError):
    """The image is in use, or several names mean it."""


class Swept(NamedTuple):
    """What a sweep of the store freed."""

    layers: tuple[str, ...]
    bytes: int


class Removed(NamedTuple):
    """What a removal did, in the words of docker's output."""

    untagged: tuple[str, ...]
    deleted: tuple[str, ...]


def remove(engine: Engine, word: str, *, force: bool, platforms: Sequence[str] = ()) -> Removed:
    """Remove one image or one of its names; raise NotFoundError or ConflictError.

    An image that is for none of `platforms` is not found, if there are any.
    """
    with engine.store.changing():
        return _removed(engine, naming.resolve_among(engine.store, word, platforms), force=force)


def _removed(engine: Engine, found: naming.Resolved, *, force: bool) -> Removed:
    store = engine.store
    image, reference = found
    names = [named for named in store.references.list() if named.image_id == image.id]
    if reference is not None:
        going = [named for named in names if _is_meant(named, reference)]
        if len(going) < len(names):
            return Removed(_untag(engine, going), ())
    elif len(names) > 1 and not force:
        raise ConflictError(
            f"conflict: unable to delete {image.id.short} (must be forced) - "
            "image is referenced in multiple repositories",
            details="\n".join(sorted(named.reference.familiar for named in names)),
        )
    _refuse_if_used(engine, image)
    if _of_containers(engine, image, force=force):
        return Removed(_untag(engine, names), ())  # the containers keep it, without a name
    untagged = _untag(engine, names)
    store.images.remove(image.id)
    return Removed(untagged, (str(image.id),))


def _is_meant(named: Named, reference: Reference) -> bool:
    if reference.digest is None:
        return named.reference == reference
    digests = {named.manifest.digest} | ({named.index.digest} if named.index else set())
    return named.reference.name == reference.name and reference.digest in digests


def _untag(engine: Engine, names: Sequence[Named]) -> tuple[str, ...]:
    gone = [named for named in names if engine.store.references.remove(named.reference)]
    return tuple(named.reference.familiar for named in gone)


def _refuse_if_used(engine: Engine, image: Image) -> None:
    places = [mount.place for mount in mounts.active(engine) if mount.image_id == str(image.id)]
    if places:
        raise ConflictError(
            f"conflict: unable to delete {image.id.short} (cannot be forced) - "
            f"image is mounted at {places[0]}",
            hint=f"lamina unmount {places[0]}",
        )


def _of_containers(engine: Engine, image: Image, *, force: bool) -> bool:
    """Say whether containers are of this image; refuse where that is not to be overruled."""
    users = [one for one in containers.containers(engine).list() if one.record.image == image.id]
    for one in users:
        running = one.status().kind in ("running", "starting")
        if running or not force:
            must, how = ("cannot", "running") if running else ("must", "stopped")
            raise ConflictError(
                f"conflict: unable to delete {image.id.short} ({must} be forced) - "
                f"image is being used by {how} container {one.id[:12]}",
                hint=f"lamina rm {'-f ' if running else ''}{one.record.name}",
            )
    return bool(users)


def prune(engine: Engine, *, everything: bool, words: Sequence[str]) -> Removed:
    """Remove the images without a name, or with `everything` all that are not mounted."""
    untagged: list[str] = []
    deleted: list[str] = []
    with engine.store.changing():
        engine.store.references.list(strict=True)  # an image whose name cannot be read is not nameless
        used = {mount.image_id for mount in mounts.active(engine)}
        used |= {str(one.record.image) for one in containers.containers(engine).list()}
        for listed in listing.chosen(engine.store, words, filters.PRUNE_KEYS):
            if (listed.names and not everything) or str(listed.image.id) in used:
                continue
            untagged += _untag(engine, listed.names)
            engine.store.images.remove(listed.image.id)
            deleted.append(str(listed.image.id))
    return Removed(tuple(untagged), tuple(deleted))


def sweep(engine: Engine) -> Swept:
    """Remove what no image needs any more."""
    reclaimed = engine.store.collect()
    unpacked.sweep(engine.root, engine.ids)
    return Swept(tuple(f"sha256:{tag}" for tag in reclaimed.layers), reclaimed.size)
