"""The tree language: layers as dictionaries.

    tree(top, lower=[{"d/": opaque(), "f": file("x", mode=0o640)}], upper={"f": whiteout()})

Keys are paths relative to the layer, bytes where they are not UTF-8; a trailing slash or an
Entry says directory.  Missing parents are made with mode 0755.  A plain string is a file's
contents.  Layers are written in kernel overlayfs's format; merged() computes in Python what
the union shows, which is the twin of the driver's merge for the native directory.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

Name: TypeAlias = str | bytes
TRUSTED = "trusted.overlay."
USER = "user.overlay."


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a layer.  'overlay' are xattrs without the dialect's prefix."""

    kind: int
    mode: int
    content: bytes = b""
    size: int | None = None  # truncated to it after 'content' was written
    target: bytes = b""  # of symlinks and hard links
    rdev: int = 0
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    extents: tuple[tuple[int, bytes], ...] = ()


Tree: TypeAlias = dict[str, Entry | str | bytes]  # a spec that others are made from
# Keys are Names; Any, since the keys of a Mapping are invariant.
Spec: TypeAlias = Mapping[Any, Entry | str | bytes]
LINK = -1  # the kind of hard links


def file(content: str | bytes = b"", *, mode: int = 0o644, **more: object) -> Entry:
    """Describe a regular file; 'more' are fields of Entry."""
    data = content.encode() if isinstance(content, str) else content
    return replace(Entry(stat.S_IFREG, mode, data), **more)  # type: ignore[arg-type]


def sparse(size: int, *extents: tuple[int, bytes], mode: int = 0o644) -> Entry:
    """Describe a file with holes around the given extents."""
    return Entry(stat.S_IFREG, mode, size=size, extents=extents)


def directory(*, mode: int = 0o755, **more: object) -> Entry:
    """Describe a directory."""
    return replace(Entry(stat.S_IFDIR, mode), **more)  # type: ignore[arg-type]


def opaque(*, mode: int = 0o755) -> Entry:
    """Describe a directory that hides those below it."""
    return Entry(stat.S_IFDIR, mode, overlay={"opaque": b"y"})


def redirect(path: str, *, mode: int = 0o755) -> Entry:
    """Describe a directory that continues at another path below."""
    return Entry(stat.S_IFDIR, mode, overlay={"redirect": path.encode()})


def symlink(target: Name) -> Entry:
    """Describe a symbolic link."""
    return Entry(stat.S_IFLNK, 0o777, target=os.fsencode(target))


def hardlink(to: Name) -> Entry:
    """Describe another name of a file of the same layer, which stands before it."""
    return Entry(LINK, 0, target=os.fsencode(to))


def whiteout() -> Entry:
    """Describe a name that hides those below: char device 0/0."""
    return Entry(stat.S_IFCHR, 0)


def fifo(*, mode: int = 0o644) -> Entry:
    """Describe a named pipe."""
    return Entry(stat.S_IFIFO, mode)


def sock(*, mode: int = 0o755) -> Entry:
    """Describe a socket."""
    return Entry(stat.S_IFSOCK, mode)


def device(kind: int, major: int, minor: int, *, mode: int = 0o600) -> Entry:
    """Describe a device node; 'kind' is stat.S_IFCHR or S_IFBLK."""
    return Entry(kind, mode, rdev=os.makedev(major, minor))


def is_whiteout(entry: Entry) -> bool:
    """Tell whether the entry only hides what is below."""
    return entry.kind == stat.S_IFCHR and entry.rdev == 0


def normal(spec: Spec) -> dict[bytes, Entry]:
    """Return the spec with byte keys without slash at the end, plain contents as entries."""
    result: dict[bytes, Entry] = {}
    for name, value in spec.items():
        key = os.fsencode(name)
        if not isinstance(value, Entry):
            value = directory() if key.endswith(b"/") else file(value)
        result[key.rstrip(b"/")] = value
    return result


def build(top: Path, spec: Spec, *, prefix: str = TRUSTED) -> None:
    """Write one layer below 'top', which is made if missing."""
    root = os.fsencode(top)
    os.makedirs(root, exist_ok=True)
    entries = normal(spec)
    for name, entry in entries.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _make(root, path, entry)
        if entry.kind not in (LINK, stat.S_IFDIR):
            _dress(path, entry, prefix)
    # Directories last, children before parents: a mode may forbid, a new name touches the time.
    for name, entry in sorted(entries.items(), reverse=True):
        if entry.kind == stat.S_IFDIR:
            _dress(os.path.join(root, name), entry, prefix)
    for name, entry in sorted(entries.items(), reverse=True):
        if entry.mtime_ns is not None:
            os.utime(os.path.join(root, name), ns=(entry.mtime_ns,) * 2, follow_symlinks=False)


def _make(root: bytes, path: bytes, entry: Entry) -> None:
    match entry.kind:
        case stat.S_IFREG:
            with open(path, "wb") as stream:
                stream.write(entry.content)
                for offset, data in entry.extents:
                    stream.seek(offset)
                    stream.write(data)
                if entry.size is not None:
                    stream.truncate(entry.size)
        case stat.S_IFDIR:
            if not os.path.isdir(path):
                os.mkdir(path)
        case stat.S_IFLNK:
            os.symlink(entry.target, path)
        case stat.S_IFSOCK:
            _bind(path)
        case kind if kind == LINK:
            os.link(os.path.join(root, entry.target), path, follow_symlinks=False)
        case _:
            os.mknod(path, entry.kind | entry.mode, entry.rdev)


def _bind(path: bytes) -> None:
    # Through a descriptor: sun_path has room for 108 bytes only.
    parent = os.open(os.path.dirname(path), os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(b"/proc/self/fd/%d/%s" % (parent, os.path.basename(path)))
    finally:
        os.close(parent)


def _dress(path: bytes, entry: Entry, prefix: str) -> None:
    if entry.uid is not None or entry.gid is not None:
        os.chown(
            path,
            -1 if entry.uid is None else entry.uid,
            -1 if entry.gid is None else entry.gid,
            follow_symlinks=False,
        )
    if entry.kind != stat.S_IFLNK:
        os.chmod(path, entry.mode)
    for name, value in entry.xattrs.items():
        os.setxattr(path, name, value, follow_symlinks=False)
    for name, value in entry.overlay.items():
        os.setxattr(path, prefix + name, value, follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class Layers:
    """Directories of one union, topmost first; several uppers are ours only."""

    lowers: tuple[Path, ...]
    uppers: tuple[Path, ...] = ()
    works: tuple[Path, ...] = ()

    @property
    def upper(self) -> Path:
        """The topmost upper."""
        return self.uppers[0]


def tree(top: Path, *, lower: Sequence[Spec], upper: Spec | None = None, prefix: str = TRUSTED) -> Layers:
    """Build a union's layers below 'top': lower0 (topmost), lower1, …, upper, work."""
    lowers = []
    for number, spec in enumerate(lower):
        path = top / f"lower{number}"
        build(path, spec, prefix=prefix)
        lowers.append(path)
    if upper is None:
        return Layers(tuple(lowers))
    build(top / "upper", upper, prefix=prefix)
    (top / "work").mkdir(parents=True, exist_ok=True)
    return Layers(tuple(lowers), (top / "upper",), (top / "work",))


def merged(specs: Sequence[Spec]) -> dict[bytes, Entry]:
    """Compute what the union of the specs, topmost first, shows.  Redirects are not followed."""
    shown: dict[bytes, Entry] = {}
    full: set[bytes] = set()  # directories that have entries
    for spec in reversed(specs):
        for name, entry in normal(spec).items():
            below = shown.get(name)
            both = below is not None and below.kind == entry.kind == stat.S_IFDIR
            hides = not both or "opaque" in entry.overlay
            if hides and (below is not None or name in full):
                for other in [n for n in shown if n == name or n.startswith(name + b"/")]:
                    del shown[other]
            if not is_whiteout(entry):
                shown[name] = replace(entry, overlay={})
                full.add(os.path.dirname(name))
    # A link's target must come first; deeper paths after their parents.
    return dict(sorted(shown.items(), key=lambda item: (item[1].kind == LINK, item[0])))
