"""Which images are mounted where: one small file for each mount, in the user's run directory.

Theory.  A record is written before anything is mounted and removed after all is gone, so that a
crash leaves a record too many, never one too few.  Whether a record is true is asked of the
system: a FUSE mount lives as long as its server (pid and start time of this boot), the kernel's
own as long as it is in the mount table.  Records that are no longer true are tidied up by whoever
mounts, unmounts or lists next: what is left of the mount, of a fresh upper, of the lease.

The run directory is this machine's, unlike the images, which may lie on a shared home.
"""

from __future__ import annotations

import fcntl
import os

from lamina_runtime import contexts
from lamina_runtime.engine import mountinfo
from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import json
from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import files
from lamina_runtime.value import fields, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lamina_runtime.engine.context import Engine

VERSION = 1
FUSE, KERNEL = "fuse", "kernel"
LARGEST_RECORD = 1 << 16
FUSE_KIND = "fuse.lamina-unionfs"


@value
class Mount:
    """One mounted image."""

    place: str
    image_id: str
    name: str  # as the user called the image
    root: str  # of the images
    driver: str  # FUSE or KERNEL
    source: str  # as the mount table shows it
    boot: str
    namespace: str  # of mounts
    lease: str = ""
    upper: str = ""  # directory of upper and work; "" for a read-only mount
    fresh: bool = False  # the upper goes with the mount
    lower: str = ""  # where the kernel's EROFS is mounted below a union
    pid: int = 0  # of the server
    started: int = 0

    @property
    def mode(self) -> str:
        """Whether it can be written to."""
        return "rw" if self.upper else "ro"


def folder(engine: Engine) -> Path:
    """Return the directory of records; it need not exist."""
    return engine.directories.run / "mounts"


def key(place: str) -> str:
    """Return what the record of a mount at a place is called."""
    return Digest.of(os.fsencode(place)).hex[:32]


def prepare(engine: Engine) -> Path:
    """Make the directory of records, for its owner alone."""
    top = folder(engine)
    for path in (top.parent, top):
        files.private_directory(path)
    return top


@contexts.contextmanager
def locked(engine: Engine) -> Iterator[Path]:
    """Keep others from mounting and unmounting through us; gives the directory of records."""
    top = prepare(engine)
    descriptor = os.open(top / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield top
    finally:
        os.close(descriptor)


def write(top: Path, mount: Mount) -> None:
    """Write a record; it replaces the one of the same place."""
    path = top / f"{key(mount.place)}.json"
    temporary = top / f"{key(mount.place)}.new"
    temporary.write_text(json.dump_own({"version": VERSION, **fields(mount)}), encoding="ascii")
    temporary.rename(path)


def forget(top: Path, mount: Mount) -> None:
    """Remove a record and the server's log."""
    for suffix in ("json", "log"):
        (top / f"{key(mount.place)}.{suffix}").unlink(missing_ok=True)


def recorded(engine: Engine) -> list[Mount]:
    """Return all records of our images, true or not, by place."""
    found = []
    try:
        names = sorted(os.listdir(folder(engine)))
    except FileNotFoundError:
        return []
    root = str(engine.root)
    for name in names:
        if name.endswith(".json"):
            mount = _read(folder(engine) / name)
            if mount is not None and mount.root == root:
                found.append(mount)
    return sorted(found, key=lambda mount: mount.place)


def forget_strays(engine: Engine, top: Path) -> None:
    """Remove our user's records of other roots' mounts that are gone, where nothing is left to be cleared.

    What of a mount has to be unmounted or removed is left to those who work with its root.
    """
    for name in sorted(os.listdir(top)):
        path = top / name
        if not name.endswith(".json") or os.lstat(path).st_uid != os.geteuid():
            continue
        mount = _read(path)
        if mount is not None and mount.root != str(engine.root) and _is_stray(mount):
            path.unlink()
            path.with_suffix(".log").unlink(missing_ok=True)


def _is_stray(mount: Mount) -> bool:
    if mount.pid and is_active(mount):
        return False
    entry = mountinfo.at(mount.place)
    if entry is not None and (entry.source == mount.source or entry.kind == "erofs"):
        return False
    try:
        os.stat(mount.root)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it is there, as far as we can tell
        return False
    to_clear = mount.fresh or mount.lower or (mount.lease and not mount.pid)
    return not to_clear and not is_active(mount)


def _read(path: Path) -> Mount | None:
    """Return a record, None if it is gone or damaged by a crash."""
    try:
        with path.open("rb") as file:
            value = json.load_own(file.read(LARGEST_RECORD).decode("ascii"), str(path))
        if value.pop("version") != VERSION:
            return None
        mount = Mount(**value)
    except (FileNotFoundError, LaminaError, ValueError, TypeError, KeyError, AttributeError):
        return None
    kinds = {"fresh": bool, "pid": int, "started": int}
    sound = all(isinstance(value, kinds.get(name, str)) for name, value in fields(mount).items())
    return mount if sound else None


def active(engine: Engine) -> list[Mount]:
    """Return the mounts that are there."""
    return [mount for mount in recorded(engine) if is_active(mount)]


def is_active(mount: Mount) -> bool:
    """Tell whether a record is still true."""
    if mount.boot != boot():
        return False
    if mount.driver == FUSE or mount.pid:
        return mount.pid == 0 or start_time(mount.pid) == mount.started
    if mount.namespace != namespace():
        return True  # we cannot see
    entry = mountinfo.at(mount.place)
    return entry is not None and entry.kind == "erofs"


def boot() -> str:
    """Return what distinguishes this boot from others."""
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().decode("ascii").strip()


def namespace() -> str:
    """Return what distinguishes our mount namespace from others."""
    return os.readlink("/proc/self/ns/mnt")


def start_time(pid: int) -> int | None:
    """Return when a process began, in ticks since boot; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])
