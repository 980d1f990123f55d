"""Canonical listings: two trees are equal if their dumps are.

A line is `path type mode uid:gid size nlink mtime link-group xattrs digest`, with '-' where a
field means nothing: sizes and link counts of directories differ between file systems.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
FIELDS = frozenset({"mode", "owner", "size", "nlink", "mtime", "group", "xattrs", "digest"})
HIDDEN_XATTRS = ("security.selinux",)  # the host's policy, not ours


def dump(top: Path, *, fields: frozenset[str] = FIELDS - {"mtime"}) -> str:
    """Return the canonical listing of everything below 'top', itself included."""
    return "\n".join(_lines(os.fsencode(top), fields)) + "\n"


def _lines(top: bytes, fields: frozenset[str]) -> Iterator[str]:
    groups: dict[tuple[int, int], str] = {}
    for path in _walk(top):
        info = os.lstat(path)
        shown = "/" + _printable(os.path.relpath(path, top)) if path != top else "/"
        yield " ".join([shown, *_facts(path, shown, info, fields, groups)])


def _walk(top: bytes) -> Iterator[bytes]:
    yield top
    pending = [top]
    while pending:
        parent = pending.pop()
        with os.scandir(parent) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        for entry in entries:
            yield entry.path
        pending += [e.path for e in reversed(entries) if e.is_dir(follow_symlinks=False)]


def _facts(
    path: bytes, shown: str, info: os.stat_result, fields: frozenset[str], groups: dict[tuple[int, int], str]
) -> Iterator[str]:
    kind = stat.S_IFMT(info.st_mode)
    is_dir = kind == stat.S_IFDIR
    yield _TYPES[kind]
    if "mode" in fields:
        yield f"{stat.S_IMODE(info.st_mode):04o}"
    if "owner" in fields:
        yield f"{info.st_uid}:{info.st_gid}"
    if "size" in fields:
        yield "-" if is_dir else str(info.st_size)
    if "nlink" in fields:
        yield "-" if is_dir else str(info.st_nlink)
    if "mtime" in fields:
        yield str(info.st_mtime_ns)
    if "group" in fields:
        linked = not is_dir and info.st_nlink > 1
        yield "=" + groups.setdefault((info.st_dev, info.st_ino), shown) if linked else "-"
    if "xattrs" in fields:
        yield _xattrs(path)
    if "digest" in fields:
        yield _digest(path, kind, info)


def _xattrs(path: bytes) -> str:
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
        pairs = [
            f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}"
            for name in names
            if name not in HIDDEN_XATTRS
        ]
    except OSError as exc:
        return f"!{exc.errno}"
    return ",".join(pairs) or "-"


def _digest(path: bytes, kind: int, info: os.stat_result) -> str:
    if kind == stat.S_IFREG:
        try:
            with open(path, "rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
        except OSError as exc:
            return f"!{exc.errno}"
    if kind == stat.S_IFLNK:
        return "->" + _printable(os.readlink(path))
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return f"{os.major(info.st_rdev)}/{os.minor(info.st_rdev)}"
    return "-"


def _printable(name: bytes) -> str:
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() and c not in " \\" else f"\\x{ord(c):02x}" for c in text)


def _kind_on(layer: Path, name: str) -> str:
    try:
        info = os.lstat(layer / name)
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        return "whiteout"
    return _TYPES[stat.S_IFMT(info.st_mode)]


def assert_on(layer: Path, name: str, kind: str = "present") -> None:
    """Assert what a layer holds under a name: "file", "dir", "whiteout", "absent", "present", …"""
    found = _kind_on(layer, name)
    good = found not in ("absent", "whiteout") if kind == "present" else found == kind
    assert good, f"{name} on {layer}: expected {kind}, found {found}"


def assert_same(actual: str, expected: str) -> None:
    """Assert that two dumps are equal; the message names the lines that are not."""
    ours, theirs = actual.splitlines(), expected.splitlines()
    extra = [f"+ {line}" for line in ours if line not in theirs]
    lacking = [f"- {line}" for line in theirs if line not in ours]
    assert ours == theirs, "dumps differ (- expected, + found):\n" + "\n".join(
        [*lacking, *extra] or ["order"]
    )
