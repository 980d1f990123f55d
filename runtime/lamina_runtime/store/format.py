"""What a store says of itself, and which stores we take.

Theory.  `version` is the layout.  What is added to it later is a feature with a name, in one of
three lists: compatible (who does not know it may read and write), read-only-compatible (may read),
incompatible (may do neither).  Unknown versions and features are refused by their name.
"""

from __future__ import annotations

import os

from lamina_runtime.oci import json
from lamina_runtime.store import files, locks, owner
from lamina_runtime.store.errors import StoreError, strange
from lamina_runtime.store.place import FOLDERS, Place
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

VERSION = 1
MOVED_DATA = "moved-data"  # parts of layers lie in other layers (dedup)
KNOWN = frozenset({MOVED_DATA})
_LIMIT = 1 << 16


@value
class Format:
    """The lists of features."""

    compatible: tuple[str, ...] = ()
    read_only_compatible: tuple[str, ...] = ()
    incompatible: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise."""
        return {
            "format": "lamina-store",
            "version": VERSION,
            "compatible": list(self.compatible),
            "read-only-compatible": list(self.read_only_compatible),
            "incompatible": list(self.incompatible),
        }


def read(place: Place) -> Format | None:
    """Return what the store says of itself, None if there is none; raises StoreError for unknown ones."""
    try:
        raw = place.format.read_bytes()
    except FileNotFoundError:
        return None
    found = json.load_object(raw, str(place.format), limit=_LIMIT)
    version = found.integer("version")
    if found.text("format") != "lamina-store" or version != VERSION:
        raise StoreError(
            f"{place.root}: store of version {version}; this lamina knows version {VERSION}",
            hint="use the lamina that made it, or another --root",
        )
    lists = [found.texts(name) for name in ("compatible", "read-only-compatible", "incompatible")]
    unknown = sorted({*lists[1], *lists[2]} - KNOWN)
    if unknown:
        raise StoreError(
            f"{place.root}: store with features that this lamina does not know: {', '.join(unknown)[:500]}",
            hint="use a newer lamina",
        )
    return Format(*lists)


def create(place: Place) -> None:
    """Make an empty store, or go on with one whose making was interrupted."""
    place.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    strangers = {path.name for path in place.root.iterdir()} - {*FOLDERS, place.lock.name, place.records.name}
    if strangers:
        raise StoreError(f"{place.root}: neither a store nor empty", details=f"it holds {min(strangers)!r}")
    for path in place.directories():
        path.mkdir(mode=0o700, exist_ok=True)
    for path in (place.lock, place.records):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE))
    with locks.together(place.lock):  # of two makers, the one that is done may collect already
        write(place, Format())
    files.sync_directory(place.root)


def write(place: Place, value: Format) -> None:
    """Write what the store says of itself."""
    files.replace(place.format, json.dump(value.to_json()), temporary=place.temporary)


def add_feature(place: Place, name: str) -> None:
    """Put a name in the list of incompatible features; only under the lock, alone."""
    current = read(place) or Format()
    if name not in current.incompatible:
        grown = tuple(sorted({*current.incompatible, name}))
        write(place, Format(current.compatible, current.read_only_compatible, grown))


def open_place(root: Path, *, create_missing: bool) -> tuple[Place, str]:
    """Return the paths of a store that we understand, and what in it is another's, "" if nothing is."""
    place = Place(root)
    why = owner.stranger(place)
    if read(place) is None:
        if not create_missing:
            raise StoreError(f"{root}: no image store here")
        if why:
            raise strange(root, why)
        create(place)
    return place, why
