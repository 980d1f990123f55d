"""Paths as C wants them, without importing os.

The modules between exec and a usable mount use `posix`, which is built in; `os` costs a tenth of
the time that a mount may take to start.
"""

import posix
import sys


def encode(path: str) -> bytes:
    """Return the bytes that `path` stood for in sys.argv (os.fsencode)."""
    return path.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def decode(path: bytes) -> str:
    """Return `path` as sys.argv would show it (os.fsdecode)."""
    return path.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def canonical(directory: str) -> bytes:
    """Return the absolute path of an existing directory, without links; raise OSError."""
    fd = posix.open(directory, posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        return posix.readlink(b"/proc/self/fd/%d" % fd)
    finally:
        posix.close(fd)


def exists(path: str) -> bool:
    """Say whether there is anything at `path`."""
    try:
        posix.stat(path)
    except OSError:
        return False
    return True
