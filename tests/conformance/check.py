"""Words that cases are written with."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Target = Path | bytes | str | int
Steps = tuple[Callable[[], object], ...]


def eq(actual: object, expected: object, what: str = "") -> None:
    """Assert equality and say both."""
    assert actual == expected, (
        f"{what + ': ' if what else ''}got {_short(actual)}, expected {_short(expected)}"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 400 else f"{text[:200]}…{text[-100:]} ({len(text)} characters)"


@contextlib.contextmanager
def fails(*codes: int) -> Iterator[None]:
    """Expect an OSError with one of the errnos."""
    names = "|".join(errno.errorcode[code] for code in codes)
    try:
        yield
    except OSError as exc:
        got = errno.errorcode.get(exc.errno or 0, str(exc.errno))
        if exc.errno not in codes:
            raise AssertionError(f"failed with {got}, expected {names}") from None
    else:
        raise AssertionError(f"succeeded, expected {names}")


@contextlib.contextmanager
def opened(
    path: Path | bytes | str, flags: int, mode: int = 0o644, *, at: int | None = None
) -> Iterator[int]:
    """Open a descriptor for the block."""
    fd = os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)


def read(path: Path) -> bytes:
    """Return a file's content."""
    return path.read_bytes()


def put(path: Path, data: bytes | str = b"", mode: int = 0o644) -> None:
    """Create a file that must not exist."""
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode) as fd:
        os.write(fd, data.encode() if isinstance(data, str) else data)


def names(path: Path) -> list[str]:
    """Return the sorted names in a directory, and make sure that each comes once."""
    found = os.listdir(path)
    assert len(found) == len(set(found)), f"a name comes twice: {sorted(found)}"
    return sorted(found)


def exists(path: Path) -> bool:
    """Tell whether a name is there, a dangling symlink included."""
    return os.path.lexists(path)


def mode_of(path: Target) -> int:
    """Return the permission bits, set-id bits included."""
    return os.stat(path).st_mode & 0o7777


def pattern(size: int, seed: int = 1) -> bytes:
    """Return bytes that do not repeat at block borders."""
    unit = bytes((i * 7 + seed * 13) % 251 for i in range(251))
    return (unit * (size // 251 + 1))[:size]


def is_real_root() -> bool:
    """Tell whether we are root of the initial user namespace, whose capabilities keep set-id bits."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split()[2] == "4294967295"


def forked(func: Callable[[], None]) -> None:
    """Run a function in a child process and fail with its failure."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            func()
            failure = ""
        except BaseException as exc:  # noqa: BLE001 -- carried over to the parent
            failure = f"{type(exc).__name__}: {exc}"
        os.write(writer, pickle.dumps(failure))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    os.waitpid(pid, 0)
    failure = pickle.loads(data) if data else "the process died"
    assert not failure, f"in a child process: {failure}"


def as_user(
    uid: int, func: Callable[[], object], *, gid: int | None = None, groups: Sequence[int] = ()
) -> None:
    """Run a function in a child process as another user, without capabilities."""

    def dropped() -> None:
        os.setgroups(groups)
        group = uid if gid is None else gid
        os.setresgid(group, group, group)
        os.setresuid(uid, uid, uid)
        func()

    forked(dropped)
