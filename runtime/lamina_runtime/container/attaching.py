"""Watch a container and talk to it: the other end of native/launch/attach.h.

Theory.  One loop over our standard streams and the socket.  Nothing is read from our input before
the socket has taken what was read last, nor from the socket before our output has: so memory is
bounded, and a slow reader slows the container, as a pipe would.

On a terminal every key goes to the container, but for the two that detach (control-P, control-Q;
docker's default).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select

from lamina_runtime import contexts
from lamina_runtime.errors import LaminaError, UsageError
from lamina_runtime.quick import signal, socket
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path
    from typing import Any

PACKET = 32768
DETACH = b"\x10\x11"
# what a user or a supervisor sends us is meant for the container (docker's --sig-proxy)
PASSED_ON = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGALRM")


@value
class Ended:
    """Why attaching ended: with the container's status, or because the user detached (None)."""

    status: int | None


class AttachError(LaminaError):
    """There is nobody to attach to, or they hung up without a word."""

    exit_code = 125


@contexts.contextmanager
def connected(directory: Path) -> Iterator[socket.socket]:
    """Yield a connection to the monitor whose socket is in `directory`."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            client.connect(f"/proc/self/fd/{fd}/attach")
        except OSError as failure:
            raise AttachError("the container's monitor does not answer", details=str(failure)) from None
        finally:
            os.close(fd)
        yield client
    finally:
        client.close()


def attach(
    client: socket.socket,
    *,
    stdin: bool,
    terminal: bool,
    kill: Callable[[int], None] | None,
    keys: bytes = DETACH,
    shown: Container[int] = (1, 2),
) -> Ended:
    """Copy between our streams and the container until it ends or the user detaches.

    `shown` are those of its streams that go to ours.
    `kill` gets the signals that are sent to us, for the container; None leaves them to us.
    """
    with contexts.ExitStack() as stack:
        wake = stack.enter_context(_wakeup())
        if kill is not None:
            stack.enter_context(_passing_on(kill))
        if terminal:
            stack.enter_context(_raw())
            stack.enter_context(_sizes(client))
        return _copy(client, wake, keys=keys if terminal else b"", stdin=stdin, shown=shown)


def _copy(client: socket.socket, wake: int, *, keys: bytes, stdin: bool, shown: Container[int]) -> Ended:
    outgoing = b""
    reading, held = stdin, b""
    while True:
        wanted: list[Any] = [client, wake, *([0] if reading and not outgoing else [])]
        ready, writable, _ = select.select(wanted, [client] if outgoing else [], [])
        if wake in ready:
            os.read(wake, 4096)
        if client in ready and (ended := _show(client, shown)) is not None:
            return ended
        if 0 in ready:
            data = os.read(0, PACKET - 1)
            if keys:
                held, data = _detaching(keys, held, data)
                if held == keys:
                    return Ended(None)
            reading = bool(data or held)
            outgoing = b"i" + data if data else b"" if reading else b"c"
        if writable:
            try:
                client.send(outgoing, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                outgoing = b""
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):  # it has ended; what it said is still to be read
                outgoing, reading = b"", False


def _show(client: socket.socket, shown: Container[int]) -> Ended | None:
    try:
        packet = client.recv(PACKET, socket.MSG_DONTWAIT)
    except (BlockingIOError, ConnectionResetError):  # "reset": it ended and did not read all; said once
        return None
    kind, data = packet[:1], packet[1:]
    if kind == b"x":
        with contexts.suppress(OSError):
            client.send(b"k", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return Ended(int(data))
    if not kind:
        raise AttachError("the container's monitor is gone")
    fd = 2 if kind == b"e" else 1
    if fd in shown:
        _write(fd, data)
    return None


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # a stream that somebody made so
            select.select([], [fd], [])
        except OSError as failure:
            if failure.errno == errno.EPIPE:
                raise BrokenPipeError from None
            raise


def _detaching(keys: bytes, held: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return what may be the beginning of the detaching keys, and what is to be sent."""
    data = held + data
    if keys in data:
        return keys, b""
    for length in range(len(keys) - 1, 0, -1):
        if data.endswith(keys[:length]):
            return keys[:length], data[:-length]
    return b"", data


def detach_keys(text: str) -> bytes:
    """Read docker's form: letters and ctrl-LETTER with commas between; "" is the default."""
    keys = b""
    for word in text.split(",") if text else ():
        letter = word.removeprefix("ctrl-")
        code = ord(letter.upper()) ^ 64 if word != letter and len(letter) == 1 else -1
        if len(word) == 1 and word.isascii():
            keys += word.encode()
        elif 0 <= code < 32:
            keys += bytes([code])
        else:
            raise UsageError(f"unknown detach key: {word!r}")
    return keys or DETACH


@contexts.contextmanager
def _wakeup() -> Iterator[int]:
    """Let signals end a select(2): yield what becomes readable then."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


@contexts.contextmanager
def _passing_on(kill: Callable[[int], None]) -> Iterator[None]:
    numbers = [getattr(signal, name) for name in PASSED_ON]
    before = {number: signal.signal(number, lambda got, _: kill(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contexts.contextmanager
def _raw() -> Iterator[None]:
    import termios
    import tty

    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def window() -> tuple[int, int]:
    """Return rows and columns of our terminal; 0, 0 where there is none."""
    import struct
    import termios

    for fd in (0, 1, 2):
        with contexts.suppress(OSError):
            rows, columns = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]
            return rows, columns
    return 0, 0


@contexts.contextmanager
def _sizes(client: socket.socket) -> Iterator[None]:
    """Tell the container's terminal whenever the size of ours changes, and now."""

    def tell(*_: object) -> None:
        with contexts.suppress(OSError):
            client.send(b"w%d %d" % window(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    before = signal.signal(signal.SIGWINCH, tell)
    tell()
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
