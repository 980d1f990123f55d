"""An OCI layout as a directory: its files, and nothing that it links to.

Theory.  A layout is as hostile as any archive, and its names come out of its documents.  So a name
is walked part by part, each opened below the one before it and never through a symbolic link: what
is read lies in the directory that was named, whoever changes it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.archive.sources import check_size, pieces, pour
from lamina_runtime.archive.tarstream import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.archive.sources import Advance, Opener
    from lamina_runtime.oci.descriptor import Descriptor
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store.forms import LayerInfo

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC  # a FIFO must not make us wait


class LayoutDirectory:
    """The archive in an open directory."""

    passing = False

    def __init__(self, descriptor: int, opener: Opener) -> None:
        self._descriptor, self._opener = descriptor, opener

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name."""
        try:
            with self._opened(name):
                return True
        except FileNotFoundError:
            return False

    def document(self, name: str) -> bytes:
        """Return a small file."""
        with self._needed(name) as opened:
            size = os.fstat(opened).st_size
            check_size(name, size)
            return b"".join(pieces(opened, 0, size))

    def size(self, name: str) -> int:
        """Return the size of a file."""
        with self._needed(name) as opened:
            return os.fstat(opened).st_size

    def layer(
        self, name: str, descriptor: Descriptor | None, diff_id: Digest | None, advance: Advance
    ) -> LayerInfo:
        """Read a layer into the store."""
        with self._needed(name) as opened, self._opener(descriptor, diff_id) as sink:
            size = os.fstat(opened).st_size
            return pour(pieces(opened, sink.offset, size - sink.offset), sink, advance)

    @contextlib.contextmanager
    def _needed(self, name: str) -> Iterator[int]:
        try:
            with self._opened(name) as opened:
                yield opened
        except FileNotFoundError:
            raise ArchiveError(f"the layout lacks {name!r}") from None

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        """Open a file; raise FileNotFoundError, or ArchiveError for what is none."""
        *parents, last = clean(name).split("/")
        with contextlib.ExitStack() as stack:
            here = self._descriptor
            for part in parents:
                here = _below(here, part, name, _DIRECTORY)
                stack.callback(os.close, here)
            opened = _below(here, last, name, _FILE)
            stack.callback(os.close, opened)
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise ArchiveError(f"the layout's {name!r} is not a file")
            yield opened


def _below(directory: int, part: str, name: str, flags: int) -> int:
    try:
        return os.open(part, flags, dir_fd=directory)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise
        with contextlib.suppress(OSError):
            if stat.S_ISLNK(os.lstat(part, dir_fd=directory).st_mode):
                raise ArchiveError(
                    f"the layout's {name!r} leads through a symbolic link",
                    hint="a layout has its blobs itself; copy it with its links followed (cp -rL)",
                ) from None
        raise ArchiveError(f"the layout's {name!r} is not a file") from None
