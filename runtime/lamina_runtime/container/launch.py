"""Start the launcher with a plan, and read what became of it.

Theory.  The plan goes through a memfd and the report comes through a pipe, so nothing of either
lies on disk.  The launcher is started with posix_spawn(3), which is vfork(2): a large parent
costs nothing.  It stays as the container's monitor and is nobody's child once we are gone.
"""

from __future__ import annotations

import os

from lamina_runtime.container import records
from lamina_runtime.errors import LaminaError
from lamina_runtime.fspath import Path
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

REPORT_LIMIT = 4096


class LaunchError(LaminaError):
    """The container did not start; `status` is what docker would exit with: 125, 126 or 127.

    `rung` names what the host refused to give (report.h), "" where that was not the reason.
    """

    def __init__(self, status: int, text: str, details: str = "", *, rung: str = "", hint: str = "") -> None:
        super().__init__(text, details=details, hint=hint)
        self.status = self.exit_code = status
        self.rung = rung


@value
class Started:
    """A running program: its process and that of its monitor, our child."""

    pid: int
    monitor: int


def program() -> Path:
    """Return the launcher's path, beside the C extensions."""
    import lamina_native

    return Path(lamina_native.__file__).parent / "lamina-launch"


def start(
    plan: Iterable[records.Record], *, client: int | None = None, errors: Path | None = None
) -> Started:
    """Carry out a plan; returns when the program runs.  LaunchError where it does not.

    `client` is one end of a SOCK_SEQPACKET pair, to be attached before the program begins.  With
    `errors` nobody keeps our standard streams: what the monitor and its helpers complain of goes
    to that file.
    """
    plan_fd = os.memfd_create("plan")
    read_end, write_end = os.pipe()
    try:
        write(plan_fd, records.encode([*plan, *_client(client)]))
        for fd in (plan_fd, write_end, *([] if client is None else [client])):
            os.set_inheritable(fd, True)  # noqa: FBT003 - os takes it no other way
        path = str(program())
        words = [path, str(plan_fd), str(write_end)]
        monitor = os.posix_spawn(path, words, os.environ, file_actions=_streams(errors))
        os.close(write_end)
        write_end = -1
        report = line(read_end)
    finally:
        for fd in (plan_fd, read_end, write_end):
            if fd >= 0:
                os.close(fd)
    word, _, rest = report.partition(" ")
    if word == "ready":
        return Started(int(rest), monitor)
    os.waitpid(monitor, 0)
    said = _said(errors)
    status, _, rung = word.partition(":")
    if not status.isdecimal():
        raise LaunchError(125, "the launcher ended without a word", said)
    raise LaunchError(int(status), rest, said, rung=rung)


def _client(fd: int | None) -> list[records.Record]:
    return [] if fd is None else [records.Record(records.Op.CLIENT, fd)]


def _streams(errors: Path | None) -> list[tuple[int, int, str, int, int]]:
    """Return the file actions that let go of our standard streams."""
    if errors is None:
        return []
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, str(errors), write, 0o600),
    ]


def _said(errors: Path | None) -> str:
    if errors is None or not errors.exists():
        return ""
    with errors.open("rb") as file:
        return file.read(REPORT_LIMIT).decode("utf-8", "replace").strip()


def write(fd: int, data: bytes) -> None:
    """Write all into a file and go back to its beginning."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)


def line(fd: int) -> str:
    """Return the first line that comes, or what comes before the end."""
    text = b""
    while b"\n" not in text and len(text) < REPORT_LIMIT:
        data = os.read(fd, REPORT_LIMIT)
        if not data:
            break
        text += data
    return text.split(b"\n")[0].decode("utf-8", "replace")
