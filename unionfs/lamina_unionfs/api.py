"""The Python API: a mount as a context manager.

    with lamina_unionfs.mount(lower=["b", "a"], upper="up", work="work", at="merged") as mount:
        ...

One mount is one process (pyfuse3 keeps its session in module globals), so this starts the
command, waits until the mount is usable, and ends it when the block is left.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    Path = str | os.PathLike[str]

START_SECONDS = 60.0
END_SECONDS = 30.0


class MountError(Exception):
    """The mount could not be had or ended badly; str() is the server's line."""


class Mount:
    """A running mount at `path`, served by the process `pid`."""

    def __init__(self, path: str, server: subprocess.Popen[bytes]) -> None:
        self.path = path
        self._server = server

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._server.pid

    def unmount(self) -> None:
        """Unmount and wait for the server; raise MountError if it ended badly.  Again is fine."""
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
        try:
            _, output = self._server.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired as error:
            self._server.kill()
            self._server.communicate()
            raise MountError(f"{self.path}: the server did not end within {END_SECONDS:.0f} s") from error
        if self._server.returncode:
            raise MountError(_line(output) or f"the server ended with status {self._server.returncode}")

    def __enter__(self) -> Mount:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unmount()


def mount(
    *,
    lower: Sequence[Path] = (),
    upper: Path | Sequence[Path] = (),
    work: Path | Sequence[Path] = (),
    at: Path,
    options: Sequence[str] = (),
) -> Mount:
    """Mount the union of `lower`, topmost first, under `upper`; return when it is usable.

    `options` are further mount options, such as "ro" or "timeout=0".
    """
    words = _list("lowerdir", lower) + _list("upperdir", upper) + _list("workdir", work) + list(options)
    place = os.fspath(at)
    reader, writer = os.pipe()
    try:
        argv = [sys.executable, "-m", "lamina_unionfs", "-f", f"--ready-fd={writer}"]
        argv += ["-o", ",".join(words), "--", place]
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=(writer,))
        os.close(writer)
        writer = -1
        ready, _, _ = select.select([reader], [], [], START_SECONDS)
        usable = bool(ready) and os.read(reader, 1) == b"\0"
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if not usable:
        if not ready:
            server.kill()
        _, output = server.communicate()
        raise MountError(_line(output) or f"the server ended with status {server.returncode}")
    return Mount(place, server)


def _list(option: str, paths: Path | Sequence[Path]) -> list[str]:
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not several:
        return []
    return [f"{option}=" + ":".join(_escape(os.fspath(path)) for path in several)]


def _escape(path: str) -> str:
    for special in ("\\", ":", ","):
        path = path.replace(special, "\\" + special)
    return path


def _line(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip().removeprefix("lamina-unionfs: ")
