"""`lamina-unionfs flatten -o lowerdir=…,upperdir=…,workdir=…`: make an upper plain.

Plain is without redirects and metacopy, which an unprivileged kernel overlayfs does not follow.
Hard links that only the index joins stay so: that kernel shows them apart.

Theory.  Two passes; the merged view is the same before, between and after any two steps, so
that a run which was killed is simply repeated.

  1. Through the union core, not mounted: copy up what those features lend from below, which is
     the data of metacopies and all that lies in a redirected directory.
  2. On the upper: a redirected directory needs nothing from below any more.  It becomes opaque,
     then its whiteouts go (in a directory without lowers they would be shown as files), and its
     redirect goes last: it says that there is something to do.

The core stays open over both passes, since it holds the locks that keep other mounts away.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lamina_native import verbs

from lamina_unionfs import check, layers, options, session
from lamina_unionfs.errors import DriverError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina_native.core import Core
    from lamina_native.verbs import Attr, DirEntry, NodeId

DOTS = (b".", b"..")
SETTINGS = "redirect_dir=on,metacopy=off,index=on,fsync=strict"
US = verbs.make_caller(uid=0, gid=0, pid=0, may_block=True)
BORROWED = {"redirect", "metacopy"}
HIDING = {"whiteout", "xwhiteout"}
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def main(argv: Sequence[str]) -> int:
    """Flatten the upper of a stack that is given as for a mount."""
    if len(argv) < 2 or len(argv) % 2 or any(word != "-o" for word in argv[::2]):
        raise UsageError("flatten needs -o lowerdir=…,upperdir=…,workdir=… (see --help)")
    wanted = options.parse([*argv[1::2], SETTINGS])
    if wanted.layers_file:
        wanted = options.with_layers(wanted, *layers.read_file(wanted.layers_file))
    layers.check(wanted)
    if len(wanted.upper) != 1:
        raise UsageError("flatten needs one upperdir")
    try:
        flatten(wanted)
    except OSError as error:
        raise DriverError(f"{error.filename}: {error.strerror}") from error
    return 0


def flatten(wanted: options.Options) -> None:
    """Flatten the one upper of a stack."""
    with session.open_core(wanted) as core:
        top = os.open(wanted.upper[0], DIRECTORY)
        try:
            _copy_up_borrowed(core, top)
            _sever(top)
        finally:
            os.close(top)
        os.sync()


# ---- first pass ----


@dataclass(slots=True)
class _Directory:
    """A merged directory on the way from the root to where we are."""

    node: NodeId
    attr: Attr
    fd: int  # the same directory on the upper; -1: it is not there
    whole: bool  # all below it must come up
    path: bytes  # from the top of the upper
    entries: Iterator[DirEntry]
    names: set[bytes]


def _copy_up_borrowed(core: Core, top: int) -> None:
    root = verbs.getattr_(core, verbs.ROOT)
    first = _entries(core, verbs.ROOT)
    way = [_Directory(verbs.ROOT, root, os.dup(top), whole=False, path=b".", entries=first, names=set())]
    try:
        while way:
            here = way[-1]
            found = next(here.entries, None)
            if found is None:
                _leave(core, top, way.pop())
                continue
            below = _visit(core, here, found)
            if below is None:
                verbs.forget(core, verbs.NodeId(found.entry.nodeid), 1)
            else:
                way.append(below)
    finally:
        for left in way:
            _close(left)


def _entries(core: Core, node: NodeId) -> Iterator[DirEntry]:
    cookie = 0
    while batch := list(verbs.readdir(core, US, node, cookie=cookie, plus=True)):
        cookie = batch[-1].cookie
        yield from (found for found in batch if found.name not in DOTS)


def _visit(core: Core, parent: _Directory, found: DirEntry) -> _Directory | None:
    """Bring up what must come; return the directory to go on with if it is one."""
    node, attr = verbs.NodeId(found.entry.nodeid), found.entry.attr
    parent.names.add(found.name)
    fd = _open_on_upper(parent.fd, found.name, attr.mode)
    marks = set(check.of_open(fd)) if fd >= 0 else set()
    if stat.S_ISDIR(attr.mode):
        whole = "redirect" in marks or parent.whole
        return _Directory(node, attr, fd, whole, parent.path + b"/" + found.name, _entries(core, node), set())
    with contextlib.ExitStack() as undo:
        if fd >= 0:
            undo.callback(os.close, fd)
        if parent.whole or BORROWED & marks:
            _bring_up(core, node, attr)
    return None


def _open_on_upper(parent: int, name: bytes, mode: int) -> int:
    """Open a file or directory beside its parent on the upper; -1: not there, or of another kind."""
    if parent < 0 or not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return -1
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) != stat.S_IFMT(mode):
            return -1
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return -1


def _bring_up(core: Core, node: NodeId, attr: Attr) -> None:
    """Copy an object up as it is: files by opening them for writing, others by their own times."""
    if stat.S_ISREG(attr.mode):
        verbs.release(core, verbs.open_(core, US, node, flags=os.O_WRONLY))
    else:
        _set_times(core, node, attr)


def _set_times(core: Core, node: NodeId, attr: Attr) -> None:
    nano = 10**9
    times = verbs.make_setattr(
        atime_ns=attr.atime * nano + attr.atimensec, mtime_ns=attr.mtime * nano + attr.mtimensec
    )
    verbs.setattr_(core, US, node, verbs.NO_HANDLE, times)


def _leave(core: Core, top: int, directory: _Directory) -> None:
    """End with a directory: its own copy, and its times after those of its entries."""
    now = verbs.getattr_(core, directory.node)
    before = directory.attr
    if directory.whole or (now.mtime, now.mtimensec) != (before.mtime, before.mtimensec):
        _set_times(core, directory.node, before)
    if directory.whole:
        _expect_whole(top, directory)
    _close(directory)
    if directory.node != verbs.ROOT:
        verbs.forget(core, directory.node, 1)


def _expect_whole(top: int, directory: _Directory) -> None:
    """Go no further where a name did not come up: that of a hard link which the index stands for."""
    fd = os.open(directory.path, DIRECTORY, dir_fd=top)
    try:
        missing = directory.names - {os.fsencode(name) for name in os.listdir(fd)}
    finally:
        os.close(fd)
    if missing:
        example = os.fsdecode(directory.path + b"/" + min(missing))
        raise DriverError(f"{example}: only the index leads to this hard link: make it anew first")


def _close(directory: _Directory) -> None:
    if directory.fd >= 0:
        os.close(directory.fd)


# ---- second pass ----


def _sever(top: int) -> None:
    """Cut each redirected directory off from its lowers."""
    for _, directories, _, fd in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        for name in directories:
            if stat.S_ISLNK(os.lstat(name, dir_fd=fd).st_mode):
                continue  # os.fwalk() counts a link to a directory among them
            below = os.open(name, DIRECTORY, dir_fd=fd)
            try:
                if "redirect" in check.of_open(below):
                    _make_plain(below)
            finally:
                os.close(below)


def _make_plain(directory: int) -> None:
    redirects = [name for name in os.listxattr(directory) if name.endswith(".overlay.redirect")]
    for name in redirects:
        os.setxattr(directory, name.removesuffix("redirect") + "opaque", b"y")
    for _, _, files, fd in os.fwalk(".", dir_fd=directory, follow_symlinks=False):
        hiding = [name for name in files if HIDING & set(check.of_name(fd, name))]
        if hiding:
            times = os.fstat(fd)
            for name in hiding:
                os.unlink(name, dir_fd=fd)
            os.utime(fd, ns=(times.st_atime_ns, times.st_mtime_ns))
    for name in redirects:
        os.removexattr(directory, name)
