"""Files into a tree and out of it, as tars: both sides of `lamina cp`.

Theory.  Every step goes by a descriptor of the directory it is in and follows no link, so that
somebody who changes the tree meanwhile leads us nowhere.  Only the path that a user names is
resolved with its links, and that happens after chroot(2) when the tree is a container's.
Owners are numbers; names are never looked up.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import IO, TYPE_CHECKING, Any

from lamina_runtime import contexts
from lamina_runtime.errors import LaminaError
from lamina_runtime.tar.header import Member
from lamina_runtime.tar.writer import TarWriter

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 1 << 20
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def look(path: str, *, follow: bool) -> dict[str, Any]:
    """Say what is at a path: its real path and type, None where nothing is."""
    real = resolved(path) if follow else path
    try:
        mode = os.lstat(real).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return {"path": real, "mode": None}
    return {"path": real, "mode": mode}


def resolved(path: str) -> str:
    """Return the path without its links; LaminaError where they lead to themselves."""
    real = os.path.realpath(path)
    if os.path.islink(real):  # realpath(3) would fail: python's stops at the first link it sees again
        raise LaminaError(f"{path}: {os.strerror(errno.ELOOP)}")
    return real


def pack(path: str, write: Callable[[bytes], object], name: str, *, crossing: bool = True) -> None:
    """Write what is at `path`, under `name` ("": what is in the directory), as a tar.

    Without `crossing` directories that something is mounted on stay empty.
    """
    tar = TarWriter(write)
    parent = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        device = -1 if crossing else os.lstat(path).st_dev
        _pack(tar, parent, os.path.basename(path) or ".", os.fsencode(name), {}, device)
    finally:
        os.close(parent)
    tar.end()


def _pack(
    tar: TarWriter, parent: int, name: str, shown: bytes, seen: dict[tuple[int, int], bytes], only: int
) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return  # removed since the directory was read
    mode = status.st_mode
    if stat.S_ISSOCK(mode):
        return
    link = os.fsencode(os.readlink(name, dir_fd=parent)) if stat.S_ISLNK(mode) else b""
    device = os.major(status.st_rdev), os.minor(status.st_rdev)
    member = Member(
        shown, mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_size, link, device
    )
    if not stat.S_ISDIR(mode):
        first = seen.setdefault((status.st_dev, status.st_ino), shown) if status.st_nlink > 1 else shown
        if first != shown:
            tar.add_link(member, first)
        elif stat.S_ISREG(mode):
            _file(tar, parent, name, member)
        else:
            tar.add(member)
        return
    tar.add(member)
    if only not in (-1, status.st_dev):
        return
    fd = os.open(name, DIRECTORY, dir_fd=parent)
    try:
        for inner in sorted(os.listdir(fd)):
            _pack(tar, fd, inner, shown + b"/" * bool(shown) + os.fsencode(inner), seen, only)
    finally:
        os.close(fd)


def _file(tar: TarWriter, parent: int, name: str, member: Member) -> None:
    fd = os.open(name, FILE, dir_fd=parent)
    try:
        tar.add(member)
        left = member.size
        while left:
            data = os.read(fd, min(left, PIECE))
            if not data:  # it became shorter: the rest is zeros, as tar(1) does
                tar.zeros(left)
                break
            tar.data(data)
            left -= len(data)
    finally:
        os.close(fd)


def unpack(source: IO[bytes], directory: str, *, owners: bool) -> None:
    """Unpack a tar below a directory; with `owners` files get those that the tar says."""
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with tarfile.open(fileobj=source, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
            late = [done for member in tar if (done := _unpack(tar, member, top, owners=owners))]
        for parts, member in reversed(late):
            _stamp(top, parts, member)
    except tarfile.TarError as error:
        raise LaminaError(f"not a tar that can be unpacked: {error}") from None
    finally:
        os.close(top)


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise LaminaError(f"the tar has a path with '..': {name[:200]}")
    return parts


def _parent(top: int, parts: list[str]) -> int:
    """Open the directory of a member, made where missing; a link on the way is refused."""
    fd = os.dup(top)
    for part in parts[:-1]:
        with contexts.suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=fd)
        try:
            inner = os.open(part, DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _unpack(
    tar: tarfile.TarFile, member: tarfile.TarInfo, top: int, *, owners: bool
) -> tuple[list[str], tarfile.TarInfo] | None:
    parts = _parts(member.name)
    if not parts:
        return None
    parent, name = _parent(top, parts), parts[-1]
    try:
        there = _type(parent, name)
        if member.isdir() and there is not None and there != stat.S_IFDIR:
            raise LaminaError(f"cannot overwrite non-directory {member.name!r} with directory")
        if not member.isdir() and there == stat.S_IFDIR:
            raise LaminaError(f"cannot overwrite directory {member.name!r} with non-directory")
        if there in (stat.S_IFCHR, stat.S_IFBLK):  # of the host, too: who is root would lose /dev/null
            raise LaminaError(f"cannot overwrite the device {member.name!r}")
        if there is not None and not member.isdir():
            os.unlink(name, dir_fd=parent)
        _make(tar, member, parent, name, top)
        if owners:
            os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        if not member.issym() and not member.islnk():
            os.chmod(name, member.mode & 0o7777, dir_fd=parent)
        if not member.isdir():
            _times(parent, name, member)
    finally:
        os.close(parent)
    return (parts, member) if member.isdir() else None


def _make(tar: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str, top: int) -> None:
    if member.isdir():
        if _type(parent, name) is None:
            os.mkdir(name, 0o700, dir_fd=parent)
    elif member.issym():
        os.symlink(member.linkname, name, dir_fd=parent)
    elif member.islnk():
        target = _parts(member.linkname)
        other = _parent(top, target)
        try:
            os.link(target[-1], name, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(other)
    elif member.isreg():
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        source = tar.extractfile(member)
        with open(os.open(name, flags, 0o600, dir_fd=parent), "wb") as file:
            while source and (data := source.read(PIECE)):
                file.write(data)
    elif member.isfifo():
        os.mkfifo(name, 0o600, dir_fd=parent)
    elif member.ischr() or member.isblk():
        kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        os.mknod(name, kind | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=parent)
    else:
        raise LaminaError(f"{member.name!r} is of a type that cannot be unpacked")


def _type(parent: int, name: str) -> int | None:
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return None


def _times(parent: int, name: str, member: tarfile.TarInfo) -> None:
    moment = int(float(member.mtime) * 10**9)
    os.utime(name, ns=(moment, moment), dir_fd=parent, follow_symlinks=False)


def _stamp(top: int, parts: list[str], member: tarfile.TarInfo) -> None:
    parent = _parent(top, parts)
    try:
        _times(parent, parts[-1], member)
    finally:
        os.close(parent)
