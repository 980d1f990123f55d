"""A file that is there completely or not at all, unless it is a pipe or a device."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING, BinaryIO

from lamina_runtime import contexts

if TYPE_CHECKING:
    from collections.abc import Iterator


@contexts.contextmanager
def created(path: str, stream: BinaryIO | None) -> Iterator[BinaryIO]:
    """Open `stream`, or the file `path` for writing; the file appears when the block ends well."""
    if stream is not None:
        yield stream
        return
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        regular = True
    if not regular:
        with open(path, "wb") as file:
            yield file
        return
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contexts.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
