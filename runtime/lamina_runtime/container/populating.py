"""What an image has at a path, copied into a volume that is new: docker's first use.

Theory.  The image is read by the union core, not mounted; a link on the way to the path is resolved
in the image.  The volume may be in use by then, by a container that means ill, so every step goes
by a descriptor, follows no link and takes nothing that is there already.  Owners are kept as far as
the id map has them.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from lamina_runtime import contexts
from lamina_runtime.errors import LaminaError

if TYPE_CHECKING:
    from lamina_runtime.container.below import Below, Found

DEEPEST = 400  # directories in directories
LINKS = 40  # on the way to a path, as the kernel has it
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNMAPPED = (errno.EPERM, errno.EINVAL)
_REFUSED = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP)


def resolve(below: Below, path: bytes) -> Found | None:
    """Return what is at a path of the image, links followed within it."""
    waiting = [name for name in reversed(path.split(b"/")) if name]
    trail: list[Found] = [below.root]
    links = 0
    while waiting:
        name = waiting.pop()
        if name in (b".", b".."):
            if name == b".." and len(trail) > 1:
                trail.pop()
            continue
        found = below.child(trail[-1], name)
        if found is None:
            return None
        if not stat.S_ISLNK(found.mode):
            trail.append(found)
            continue
        links += 1
        said = below.link(found)
        if links > LINKS:
            return None
        if said.startswith(b"/"):
            del trail[1:]
        waiting += [part for part in reversed(said.split(b"/")) if part]
    return trail[-1]


def populate(below: Below, path: bytes, volume: str) -> bool:
    """Copy the directory at a path of the image into an empty volume; say whether there was anything."""
    source = resolve(below, path)
    top = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if source is None or not source.is_directory or os.listdir(top):
            return False
        _Copy(below, top).directory(source, top, ())
        return True
    finally:
        os.close(top)


class _Copy:
    """One copying: hard links among what is copied stay links."""

    def __init__(self, below: Below, top: int) -> None:
        self._below, self._top = below, top
        self._seen: dict[int, tuple[tuple[bytes, ...], bytes]] = {}  # node: its directory, its name

    def directory(self, source: Found, fd: int, parts: tuple[bytes, ...]) -> None:
        """Copy what is in a directory, then what is said of itself."""
        if len(parts) > DEEPEST:
            raise LaminaError("the image's directories are too deep")
        for name in self._below.names(source):
            found = self._below.child(source, name)
            if found is None:
                continue
            if found.is_directory:
                os.mkdir(name, 0o700, dir_fd=fd)
                inner = os.open(name, DIRECTORY, dir_fd=fd)
                try:
                    self.directory(found, inner, (*parts, name))
                finally:
                    os.close(inner)
            elif found.node in self._seen:
                self._link(*self._seen[found.node], name, fd)
            else:
                self._other(found, name, fd)
                if found.links > 1:
                    self._seen[found.node] = parts, name
        self._attributes(source, fd)
        os.utime(fd, ns=(source.mtime_ns, source.mtime_ns))

    def _link(self, parts: tuple[bytes, ...], first: bytes, name: bytes, fd: int) -> None:
        with contexts.ExitStack() as stack:
            where = self._top
            for part in parts:
                where = os.open(part, DIRECTORY, dir_fd=where)
                stack.callback(os.close, where)
            os.link(first, name, src_dir_fd=where, dst_dir_fd=fd, follow_symlinks=False)

    def _other(self, found: Found, name: bytes, fd: int) -> None:
        if stat.S_ISREG(found.mode):
            made = os.open(name, NEW, 0o600, dir_fd=fd)
            try:
                for data in self._below.data(found):
                    os.write(made, data)
                self._attributes(found, made)
                os.utime(made, ns=(found.mtime_ns, found.mtime_ns))
            finally:
                os.close(made)
            return
        if stat.S_ISLNK(found.mode):
            os.symlink(self._below.link(found), name, dir_fd=fd)
        else:
            try:
                os.mknod(name, found.mode, found.rdev, dir_fd=fd)
            except PermissionError:
                return  # a device, which nobody may make here
        with contexts.suppress(OSError):
            os.chown(name, found.uid, found.gid, dir_fd=fd, follow_symlinks=False)
        os.utime(name, ns=(found.mtime_ns, found.mtime_ns), dir_fd=fd, follow_symlinks=False)

    def _attributes(self, found: Found, fd: int) -> None:
        try:
            os.fchown(fd, found.uid, found.gid)
        except OSError as error:
            if error.errno not in _UNMAPPED:
                raise
        os.fchmod(fd, stat.S_IMODE(found.mode))
        wanted = self._below.attributes(found, lambda name: name.startswith((b"user.", b"security.capab")))
        for name, value in wanted.items():
            try:
                os.setxattr(fd, name, value)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
