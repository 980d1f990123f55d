"""Whether a store is what it should be.

Theory.  Everything here can be checked against something else: blobs against their names or sums,
names against images, images against their parts, tars against their sums (fast) or their diffIDs
(full), indexes against their checksums (fast) or the tars (full), metadata against a second making.
The lock is held together with others, so that nothing is swept meanwhile; what is being added does
not disturb, since it appears complete.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.digest import HEX_LENGTH, Digest, hasher, is_hex
from lamina_runtime.store import check_layers, files, forms, marking, metadata
from lamina_runtime.store.forms import LayerInfo
from lamina_runtime.store.ground import Ground
from lamina_runtime.store.images import Record, read_record, record_names
from lamina_runtime.store.place import Place
from lamina_runtime.store.problem import Problem
from lamina_runtime.store.references import read_reference

PIECE = 1 << 20
SMALL = 4 << 20  # blobs up to this are hashed in a fast check too
Progress = Callable[[str, int, int], None]
Task = tuple[str, str, Callable[[], Iterator[Problem]]]  # the kind if it cannot be done, what, how


def check(ground: Ground, *, full: bool, progress: Progress | None = None) -> list[Problem]:
    """Return what is wrong, sorted; nothing is changed."""
    with ground.together():
        tasks = list(_tasks(ground, full=full))
        problems: set[Problem] = set()
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for number, found in enumerate(pool.map(_run, tasks)):
                problems.update(found)
                if progress is not None:
                    progress(tasks[number][1], number + 1, len(tasks))
    return sorted(problems)


def _run(task: Task) -> list[Problem]:
    kind, what, call = task
    try:
        return list(call())
    except (LaminaError, OSError) as exc:
        return [Problem(kind, what, str(exc))]


def _tasks(ground: Ground, *, full: bool) -> Iterator[Task]:
    """Yield what there is to do, the longest first."""
    place = ground.place
    for path in sorted((place.root / "layers").iterdir(), key=lambda path: -_size(place.devices / path.name)):
        yield "layer-damaged", path.name, partial(check_layers.layer, place, path, full=full)
    for digest, path in marking.blob_files(place):
        if full or path.stat().st_size <= SMALL:
            yield "blob-damaged", str(digest), partial(_blob, digest, path)
    stacks: set[tuple[Digest, ...]] = set()
    for image_id in record_names(place):
        try:
            record = read_record(place, image_id)
        except (LaminaError, OSError) as exc:
            yield (
                "image-damaged",
                str(image_id),
                partial(iter, [Problem("image-damaged", str(image_id), str(exc))]),
            )
            continue
        if record is not None:
            yield "image-damaged", str(image_id), partial(_image, place, record)
            stacks.add(record.diff_ids)
    for stack in sorted(stacks):
        yield "metadata-damaged", place.metadata(stack).name, partial(_metadata, place, stack)
    for path in sorted((place.root / "references").iterdir()):
        yield "reference-damaged", path.name, partial(_reference, ground, path)
    yield "stray", str(place.root), partial(_strays, place)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _blob(digest: Digest, path: Path) -> Iterator[Problem]:
    found = hasher(digest.algorithm)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    if found.hexdigest() != digest.hex:
        yield Problem("blob-damaged", str(digest), "its content does not match its digest")


def _image(place: Place, record: Record) -> Iterator[Problem]:
    name = str(record.id)
    try:
        config = ImageConfig.parse(place.blob(record.id).read_bytes(), algorithm=record.id.algorithm)
    except FileNotFoundError:
        yield Problem("blob-missing", name, "the configuration of an image")
    else:
        if config.diff_ids != record.diff_ids:
            yield Problem("image-damaged", name, "its record names other layers than its configuration")
    for descriptor in record.manifests:
        if place.blob(descriptor.digest).exists():
            marking.read_manifest(place, record, descriptor)
        else:
            yield Problem("blob-missing", str(descriptor.digest), f"a manifest of image {record.id.short}")
    for diff_id in record.diff_ids:
        if not place.layer(diff_id).exists():
            yield Problem("layer-missing", str(diff_id), f"a layer of image {record.id.short}")


def _metadata(place: Place, stack: tuple[Digest, ...]) -> Iterator[Problem]:
    path = place.metadata(stack)
    if not path.exists():
        return  # its first use makes it
    layers = [forms.read_info(place, diff_id) for diff_id in stack]
    if _is(place, layers, path, before_dedup=False):
        return
    if _is(place, layers, path, before_dedup=True):
        yield Problem("stray", path.name, "metadata from before a dedup that was interrupted; run it again")
    else:
        yield Problem("metadata-damaged", path.name, "it differs from what its layers give")


def _is(place: Place, layers: list[LayerInfo], path: Path, *, before_dedup: bool) -> bool:
    """Make metadata again and say whether it is what the file has."""
    fd = os.memfd_create("lamina-check", os.MFD_CLOEXEC)
    with path.open("rb") as old, open(fd, "r+b") as new:
        metadata.build(place, layers, fd, before_dedup=before_dedup)
        new.seek(0)
        while (piece := new.read(PIECE)) == old.read(PIECE):
            if not piece:
                return True
    return False


def _reference(ground: Ground, path: Path) -> Iterator[Problem]:
    place = ground.place
    with ground.unchanging():
        named = read_reference(path)
        if named is None:
            return
        has_image = place.image(named.image_id).exists()
    name = str(named.reference)
    if place.reference(named.reference) != path:
        yield Problem("reference-damaged", name, f"it stands in {path.name}")
    if not has_image:
        yield Problem("reference-dangling", name, f"image {named.image_id} is not in the store")
    for descriptor in filter(None, (named.manifest, named.index)):
        if not place.blob(descriptor.digest).exists():
            yield Problem("blob-missing", str(descriptor.digest), f"the manifest or index of {name}")


def _strays(place: Place) -> Iterator[Problem]:
    devices = sorted(place.devices.iterdir())
    arriving = any(files.is_held(path) for path in place.temporary.iterdir())  # a tar comes before its layer
    layers = {path.name for path in (place.root / "layers").iterdir()}
    for path in devices:
        if path.name not in layers and not arriving:
            yield Problem("stray", str(path.relative_to(place.root)), "a tar without its layer")
    for algorithm in HEX_LENGTH:
        for top in ("blobs", "images"):
            for path in sorted((place.root / top / algorithm).iterdir()):
                if not is_hex(algorithm, path.name):
                    yield Problem("stray", str(path.relative_to(place.root)), "not named by a digest")
