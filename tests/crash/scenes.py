"""What is done when the trouble comes: one operation each, and what must precede it."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from tests.differential import calls
from tests.differential.objects import pattern

LARGE = 3_000_000
OLD = 1_000_000_000 * 10**9


def make_lower(top: str) -> None:
    """Make the lower of all scenes, with times, modes, owners and attributes worth keeping."""
    for folder in ("d", "d/e", "empty", "gone"):
        os.mkdir(f"{top}/{folder}", 0o755)
    for name, size in (("f", 5000), ("g", 100), ("h", 7000), ("big", LARGE), ("d/x", 10), ("d/e/y", 10)):
        with open(f"{top}/{name}", "wb") as file:
            file.write(pattern(len(name) + size, size))
        os.setxattr(f"{top}/{name}", "user.tag", name.encode())
        os.chown(f"{top}/{name}", 1000, 2000)
        os.chmod(f"{top}/{name}", 0o640)
    os.link(f"{top}/h", f"{top}/h2")
    os.symlink("f", f"{top}/s")
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            os.utime(f"{folder}/{name}", ns=(OLD, OLD), follow_symlinks=False)


def _write(path: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(fd, b"new", 10)
    finally:
        os.close(fd)


def _replace(top: str) -> None:
    calls.rename(f"{top}/f", f"{top}/g")


def _exchange(top: str) -> None:
    calls.rename(f"{top}/f", f"{top}/d", calls.RENAME_EXCHANGE)


def _opened(path: str, flags: int) -> None:
    os.close(os.open(path, flags, 0o600))


def _nothing(_top: str) -> None:
    """No preparation."""


@dataclass(frozen=True)
class Scene:
    """One operation on the mount; `before` is done on it while nothing goes wrong yet."""

    act: Callable[[str], None]
    before: Callable[[str], None] = _nothing


SCENES: dict[str, Scene] = {
    "chmod-file": Scene(lambda top: os.chmod(f"{top}/f", 0o600)),
    "chmod-large": Scene(lambda top: os.chmod(f"{top}/big", 0o600)),
    "chmod-dir": Scene(lambda top: os.chmod(f"{top}/d/e", 0o700)),
    "chmod-nested": Scene(lambda top: os.chmod(f"{top}/d/e/y", 0o600)),
    "chmod-hardlink": Scene(lambda top: os.chmod(f"{top}/h", 0o600)),
    "write-file": Scene(lambda top: _write(f"{top}/f")),
    "write-large": Scene(lambda top: _write(f"{top}/big")),
    "write-hardlink": Scene(lambda top: _write(f"{top}/h2")),
    "write-metacopy": Scene(lambda top: _write(f"{top}/big"), lambda top: os.chmod(f"{top}/big", 0o600)),
    "truncate-large": Scene(lambda top: os.truncate(f"{top}/big", 100)),
    "open-trunc": Scene(lambda top: _opened(f"{top}/f", os.O_WRONLY | os.O_TRUNC)),
    "create": Scene(lambda top: _opened(f"{top}/d/new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
    "create-on-whiteout": Scene(
        lambda top: _opened(f"{top}/f", os.O_CREAT | os.O_EXCL | os.O_WRONLY),
        lambda top: os.unlink(f"{top}/f"),
    ),
    "mkdir": Scene(lambda top: os.mkdir(f"{top}/d/new")),
    "mkdir-on-whiteout": Scene(lambda top: os.mkdir(f"{top}/gone"), lambda top: os.rmdir(f"{top}/gone")),
    "symlink": Scene(lambda top: os.symlink("f", f"{top}/d/new")),
    "link": Scene(lambda top: os.link(f"{top}/f", f"{top}/d/new")),
    "link-hardlink": Scene(lambda top: os.link(f"{top}/h", f"{top}/d/new")),
    "unlink": Scene(lambda top: os.unlink(f"{top}/d/x")),
    "unlink-hardlink": Scene(lambda top: os.unlink(f"{top}/h2")),
    "rmdir": Scene(lambda top: os.rmdir(f"{top}/empty")),
    "rmdir-whiteouts": Scene(lambda top: os.rmdir(f"{top}/d/e"), lambda top: os.unlink(f"{top}/d/e/y")),
    "rename-file": Scene(lambda top: os.rename(f"{top}/f", f"{top}/d/new")),
    "rename-over": Scene(_replace),
    "rename-symlink": Scene(lambda top: os.rename(f"{top}/s", f"{top}/t")),
    "rename-dir": Scene(lambda top: os.rename(f"{top}/d", f"{top}/moved")),
    "rename-nested-dir": Scene(lambda top: os.rename(f"{top}/d/e", f"{top}/moved")),
    "rename-dir-over-empty": Scene(lambda top: os.rename(f"{top}/d", f"{top}/empty")),
    "exchange": Scene(_exchange),
    "setxattr": Scene(lambda top: os.setxattr(f"{top}/f", "user.new", b"1")),
}
