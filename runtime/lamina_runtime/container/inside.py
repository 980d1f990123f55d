"""What is done with a container's files by somebody who has its ids: a process of its own.

Theory.  A plain user cannot read what a container wrote under subordinate ids, nor may anybody
follow paths of a container from outside, where its links lead elsewhere.  So the work is done by
a process that the launcher starts in a user namespace with the container's maps, and, where paths
are concerned, after chroot(2) into its tree.  From then on it imports nothing and asks for no names
of users, since both would read the container's files (CVE-2019-14271).

What it is to do comes as one JSON argument; data goes through its standard streams.
"""

from __future__ import annotations

import os
import stat
import sys

from lamina_runtime import contexts
from lamina_runtime.container import upper
from lamina_runtime.container.changes import Change, Changes, LayerTar, listing
from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import json
from lamina_runtime.tar.writer import TarWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Any, Protocol

    from lamina_runtime.container.below import Below

    Task = dict[str, Any]

    class Out(Protocol):
        """Where what is asked for goes."""

        def write(self, data: bytes, /) -> object:
            """Take the next bytes."""


BUFFER = 1 << 20


def changes(task: Task, _: IO[bytes], out: Out) -> None:
    """List what changed: the kind's letter and the path, and a NUL behind."""
    with _found(task) as (found, _write):
        out.write(os.fsencode("".join(f"{kind}{path}\0" for kind, path in listing(found))))


def settle(task: Task, _: IO[bytes], _out: Out) -> None:
    """Bring what was written through the mount to the upper."""
    top = os.open(task["upper"], upper.DIRECTORY)
    try:
        _settle(top, f"/proc/{task['pid']}/root")
    finally:
        os.close(top)


def layer(task: Task, _: IO[bytes], out: Out) -> None:
    """Write what changed as a layer."""
    with _found(task) as (_changes, write):
        write(TarWriter(out.write))


def unpack(task: Task, _: IO[bytes], _out: Out) -> None:
    """Fill an empty directory with an image."""
    from lamina_runtime.container import unpacking
    from lamina_runtime.container.below import Below

    with Below(task["image"]) as below:
        unpacking.unpack(below, task["target"], owners=task["owners"])


def populate(task: Task, _: IO[bytes], _out: Out) -> None:
    """Copy what the image has at a path into a new volume."""
    from lamina_runtime.container.below import Below
    from lamina_runtime.container.populating import populate

    with Below(task["image"]) as below:
        populate(below, os.fsencode(task["path"]), task["volume"])


def remove(task: Task, _: IO[bytes], _out: Out) -> None:
    """Remove a tree whose files have the container's ids."""
    import shutil

    shutil.rmtree(task["target"])


def receive(task: Task, source: IO[bytes], _: Out) -> None:
    """Unpack a tar below a directory of the container."""
    from lamina_runtime.container import copying

    _enter(task)
    copying.unpack(source, task["path"], owners=task["owners"])


def send(task: Task, _: IO[bytes], out: Out) -> None:
    """Write a file or directory of the container as a tar."""
    from lamina_runtime.container import copying

    _enter(task)
    copying.pack(task["path"], out.write, task["name"], crossing=not task.get("export"))


def look(task: Task, _: IO[bytes], out: Out) -> None:
    """Say what is at a path of the container."""
    from lamina_runtime.container import copying

    _enter(task)
    out.write(json.dump_own(copying.look(task["path"], follow=task["follow"])).encode())


OPERATIONS: dict[str, Callable[[Task, IO[bytes], Out], None]] = {
    "changes": changes,
    "layer": layer,
    "look": look,
    "populate": populate,
    "receive": receive,
    "remove": remove,
    "send": send,
    "settle": settle,
    "unpack": unpack,
}


def main(text: str) -> int:
    """Do the one thing that `text` says; a failure is one line on standard error."""
    task = json.load_own(text, "task")
    out = open(1, "wb", BUFFER, closefd=False)  # noqa: SIM115 - the process ends with it
    source = open(0, "rb", BUFFER, closefd=False)  # noqa: SIM115
    try:
        OPERATIONS[task["operation"]](task, source, out)
        out.flush()
    except LaminaError as error:
        return _failed(str(error))
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _failed(f"{where}{error.strerror or error}")
    return 0


def _failed(text: str) -> int:
    os.write(2, text.replace("\n", " ").encode("utf-8", "replace"))
    return 1


@contexts.contextmanager
def _found(task: Task) -> Iterator[tuple[list[Change], Callable[[TarWriter], None]]]:
    """Yield the changes of an upper, and what writes them."""
    from lamina_runtime.container.below import Below

    top = os.open(task["upper"], upper.DIRECTORY)
    try:
        if task["pid"] and not task.get("whole"):
            _settle(top, f"/proc/{task['pid']}/root")
        with Below(task["image"]) as below:
            places = frozenset(os.fsencode(path).strip(b"/") for path in task["places"])
            found = _changes(task, top, below, places)
            yield found, lambda tar: LayerTar(top, below, tar).write(found)
    finally:
        os.close(top)


def _changes(task: Task, top: int, below: Below, places: frozenset[bytes]) -> list[Change]:
    if not task.get("whole"):
        return Changes(top, below, places).find()
    from lamina_runtime.container import unpacking
    from lamina_runtime.container.drift import Drift

    return Drift(top, below, places, unpacking.made(task["upper"])).find()


def _settle(top: int, merged: str) -> None:
    """Let the kernel hand on what was written through the mount but not yet to the driver.

    Closing a file does that (fuse_flush), whoever wrote to it.
    """
    root = os.open(merged, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        for directory, _, files, fd in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for name in files:
                try:
                    if stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                        os.close(os.open(f"{directory}/{name}", flags, dir_fd=root))
                except OSError:
                    continue  # it has just gone, is hidden there by a mount, or a link is on the way
    finally:
        os.close(root)


def _enter(task: Task) -> None:
    """Make the container's tree our root; nothing is imported from then on."""
    os.chroot(task["root"])
    os.chdir("/")
    sys.path.clear()
    sys.meta_path.clear()
