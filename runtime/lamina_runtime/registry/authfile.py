"""An auth file (docker's config.json, podman's auth.json): changed in place of a whole, else kept.

Theory. The file belongs to several programs. So a change re-reads it under a lock, keeps every key that it
does not know, and replaces it by a rename: a reader sees the old file or the new one. It holds passwords:
mode 0600 from the first byte on. A symbolic link (dotfiles are often links) is followed, its target
replaced.
"""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lamina_runtime.errors import LaminaError

MAX_SIZE = 1 << 20
TABLES = ("auths", "credHelpers", "HttpHeaders")


def read(path: Path, *, passable: bool = False) -> dict[str, Any]:
    """Return the file's object; an empty one if there is no file, or if it is `passable` and not for us."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        if passable and isinstance(exc, PermissionError):
            return {}
        raise LaminaError(f"{path}: {exc.strerror}") from exc
    if len(data) > MAX_SIZE:
        raise LaminaError(f"{path}: larger than {MAX_SIZE} bytes")
    try:
        found = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise LaminaError(f"{path}: not JSON", details=str(exc)) from exc
    if not isinstance(found, dict) or not all(isinstance(found.get(name, {}), dict) for name in TABLES):
        raise LaminaError(f"{path}: not an auth file", hint=f"{', '.join(TABLES)} must be objects")
    return found


def update(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Apply `change` to the file's object and replace the file."""
    real = Path(os.path.realpath(path))
    try:
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(real):
            document = read(real)
            change(document)
            _replace(real, json.dumps(document, indent="\t").encode() + b"\n")
    except OSError as exc:
        raise LaminaError(f"{path}: {exc.strerror}") from exc


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the directory's lock: the file itself is replaced, so a lock on it would hold nobody."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 by itself
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
