"""Images as ordinary files below the root of the images, for hosts where the driver cannot mount.

Theory.  One copy of an image serves all containers of one map of ids, as the lower of a kernel
overlayfs: `unpacked/STACK-IDS`, STACK as in the store's metadata, IDS of the map, whose owners the
files have.  It is made under another name and renamed, so a copy that is there is whole.  Makers
take turns on `unpacked/lock`.

Nobody counts users.  A copy goes when the store has no metadata of that stack any more, and the
store keeps that for as long as an image or a container's lease wants it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lamina_runtime.container.unpacking import MADE
from lamina_runtime.engine import inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lamina_runtime.container.ids import Ids
    from lamina_runtime.store.images import Image

_FRESH = ".fresh-"


def folder(top: Path) -> Path:
    """Return the directory of copies; it need not exist."""
    return top / "unpacked"


def place(top: Path, image: Image, mapped: Ids) -> Path:
    """Return where the copy of an image is, or would be."""
    text = repr([(row.inside, row.outside, row.count) for row in (*mapped.uids, *mapped.gids)])
    return folder(top) / f"{image.metadata.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def shared(top: Path, image: Image, mapped: Ids, settings: str) -> Path:
    """Make sure of the copy that containers share; return where it is."""
    wanted = place(top, image, mapped)
    if wanted.is_dir():
        return wanted
    with _turn(top):
        _sweep_fresh(top, mapped)
        if not wanted.is_dir():
            made = folder(top) / (_FRESH + secrets.token_hex(8))
            fill(made, mapped, settings)
            made.with_name(made.name + MADE).unlink()
            made.rename(wanted)
    return wanted


def fill(target: Path, mapped: Ids, settings: str) -> None:
    """Unpack an image into a directory, unless that was done; one that was left half-way is made anew."""
    note = target.with_name(target.name + MADE)
    if note.exists():
        return
    if target.exists():
        inside.answer({"operation": "remove", "target": str(target)}, mapped)
    target.mkdir(mode=0o700)
    task = {"operation": "unpack", "image": settings, "target": str(target), "owners": not mapped.single}
    inside.answer(task, mapped)


def sweep(top: Path, mapped: Ids) -> None:
    """Remove the copies of stacks that the store does not have any more."""
    if not folder(top).is_dir():
        return
    with _turn(top):
        _sweep_fresh(top, mapped)
        for one in folder(top).iterdir():
            stack = one.name.partition("-")[0]
            if one.is_dir() and not (top / "store/metadata" / stack).exists():
                inside.answer({"operation": "remove", "target": str(one)}, mapped)


def _sweep_fresh(top: Path, mapped: Ids) -> None:
    """Remove what a maker that was killed has left; called by who has the turn."""
    for one in folder(top).glob(_FRESH + "*"):
        if one.is_dir():
            inside.answer({"operation": "remove", "target": str(one)}, mapped)
        else:
            one.unlink()


@contextmanager
def _turn(top: Path) -> Iterator[None]:
    folder(top).mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder(top) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
