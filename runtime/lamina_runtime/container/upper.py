"""What an object of an upper says about itself: its kind, its owner, the marks of a union.

Read without following anything: names relative to an open directory, attributes by a path below
/proc/self/fd that ends with the name.  docs/on-disk.md has the marks.
"""

from __future__ import annotations

import errno
import os
import stat

from lamina_runtime.value import value

NAMESPACES = ("trusted.overlay.", "user.overlay.")
OPAQUE_OTHERS = ("user.fuseoverlayfs.opaque",)
OVERRIDES = ("user.containers.override_stat", "user.fuseoverlayfs.override_stat")
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OWNER = "user.lamina_owner"  # UID:GID[:TYPE] as a container with one id wished it (native/launch/record.h)
_KINDS = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "pipe": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}


@value
class Object:
    """One object of an upper."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    device: tuple[int, int]
    identity: tuple[int, int]
    links: int
    whiteout: bool
    opaque: bool
    metacopy: bool
    redirect: bytes
    xattrs: dict[bytes, bytes]


def wanted(name: bytes) -> bool:
    """Say whether a layer keeps an attribute: users' own, ACLs and file capabilities."""
    if name in (b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"):
        return True
    own = (b"user.overlay.", b"user.fuseoverlayfs.", b"user.containers.", b"user.lamina_")
    return name.startswith(b"user.") and not name.startswith(own)


def look(parent: int, name: bytes) -> Object:
    """Read one object."""
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    found = _attributes(b"/proc/self/fd/%d/%s" % (parent, name), status.st_mode)
    return _described(status, found)


def look_at(fd: int) -> Object:
    """Read an open directory."""
    return _described(os.fstat(fd), _attributes(b"/proc/self/fd/%d/." % fd, stat.S_IFDIR))


def _described(status: os.stat_result, found: dict[str, bytes]) -> Object:
    marks = {
        name.removeprefix(space): value
        for name, value in found.items()
        for space in NAMESPACES
        if name.startswith(space)
    }
    mode, uid, gid = status.st_mode, status.st_uid, status.st_gid
    device = os.major(status.st_rdev), os.minor(status.st_rdev)
    whiteout = (stat.S_ISCHR(mode) and device == (0, 0)) or "whiteout" in marks
    for name in OVERRIDES:
        if name in found:
            mode, uid, gid, device = _overridden(found[name], mode, uid, gid, device)
    if OWNER in found:
        owner, group, kind = [*found[OWNER].split(b":", 2), b"", b""][:3]
        whole = b"%b:%b:%o:%b" % (owner, group, stat.S_IMODE(mode), kind)
        mode, uid, gid, device = _overridden(whole, mode, uid, gid, device)
    return Object(
        mode,
        uid,
        gid,
        status.st_mtime_ns,
        status.st_size,
        device,
        (status.st_dev, status.st_ino),
        status.st_nlink,
        whiteout,
        marks.get("opaque") == b"y" or any(name in found for name in OPAQUE_OTHERS),
        "metacopy" in marks,
        marks.get("redirect", b""),
        {os.fsencode(name): value for name, value in found.items() if wanted(os.fsencode(name))},
    )


def _attributes(path: bytes, mode: int) -> dict[str, bytes]:
    if stat.S_ISLNK(mode):
        return {}
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM, errno.ENODATA):
            return {}
        raise


def _overridden(
    value: bytes, mode: int, uid: int, gid: int, device: tuple[int, int]
) -> tuple[int, int, int, tuple[int, int]]:
    """Read UID:GID:MODE[:TYPE]; what is none is passed over, as the driver does."""
    fields = value.rstrip(b"\0").decode("ascii", "replace").split(":")
    try:
        uid, gid, bits = int(fields[0]), int(fields[1]), int(fields[2], 8)
    except (ValueError, IndexError):
        return mode, uid, gid, device
    word, *numbers = fields[3].split("-") if len(fields) > 3 else [""]
    kind = _KINDS.get(word, stat.S_IFMT(mode))
    if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
        device = int(numbers[0]), int(numbers[1])
    return kind | stat.S_IMODE(bits), uid, gid, device
