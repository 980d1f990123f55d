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
    with _ending():
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with open(descriptor, "wb") as file:
                yield file
            os.replace(temporary, path)
        except BaseException:
            with contexts.suppress(OSError):  # it may not be there
                os.unlink(temporary)
            raise


@contexts.contextmanager
def _ending() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, with the status that shells give them."""
    import signal
    import threading

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:  # nohup(1) and callers have a say
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
