"""Whose a store is: one uid owns all of it, and nothing in it is reached through a symbolic link.

Theory.  Root can write into everybody's store, but what it leaves there is closed to the owner, and
the owner could have laid links that lead root's writing elsewhere.  So what belongs to another is
only read.  File systems that give all files one owner, whoever makes them (NFS with squashed ids,
VFAT), are told by making a file and looking whose it is.
"""

from __future__ import annotations

import os
import stat

from lamina_runtime import contexts
from lamina_runtime.store import files
from lamina_runtime.store.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.fspath import Path
    from lamina_runtime.store.place import Place


def stranger(place: Place) -> str:
    """Say what in a store belongs to whom else, "" if all is ours; StoreError for a symbolic link."""
    ours = os.geteuid()
    found: dict[int, Path] = {}
    for path in (place.root, *place.directories(), place.format, place.lock, place.records):
        with contexts.suppress(FileNotFoundError):
            seen = os.lstat(path)
            if stat.S_ISLNK(seen.st_mode) and path is place.root and seen.st_uid == ours:
                seen = os.stat(path)  # we laid it ourselves
            if stat.S_ISLNK(seen.st_mode):
                raise StoreError(f"{path}: a symbolic link; no part of a store is reached through one")
            found.setdefault(seen.st_uid, path)
    others = found.keys() - {ours}
    if not others or (len(found) == 1 and _given(place) in others):
        return ""
    uid = min(others)
    return f"{found[uid]} belongs to uid {uid}"


def _given(place: Place) -> int | None:
    """Return whose a file is that we make in a store, None where we cannot."""
    name = files.temporary_name(place.root).name
    top = -1
    try:
        top = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, files.MODE, dir_fd=top)
        try:
            return os.fstat(fd).st_uid
        finally:
            os.close(fd)
            os.unlink(name, dir_fd=top)
    except OSError:
        return None
    finally:
        if top >= 0:
            os.close(top)
