"""Files that are there completely or not at all, also after the power failed.

Theory.  Everything is written below `temporary/`, brought to the disk by fsync(2), and only then
renamed to where it belongs; the directory is brought to the disk after that.  So a name implies
its content, and what is left in `temporary/` is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import stat

from lamina_runtime import contexts
from lamina_runtime.errors import LaminaError
from lamina_runtime.fspath import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MODE = 0o600


def sync_directory(path: Path) -> None:
    """Bring a directory's names to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_tree(top: Path) -> None:
    """Bring a directory to the disk with all that is in it.

    Several files that are written first and synced then share the journal's commits: half the time.
    """
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                sync_tree(Path(entry.path))
                continue
            fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    sync_directory(top)


def temporary_name(temporary: Path) -> Path:
    """Return a name that nobody else has."""
    return temporary / os.urandom(12).hex()


def write_new(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Write a file that nobody knows of yet, and bring it to the disk unless sync_tree() will, or nobody."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if synced:
            os.fsync(fd)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(fd)


def publish(source: Path, target: Path) -> None:
    """Give a finished file or directory its name; the file's content is on the disk already."""
    os.rename(source, target)
    sync_directory(target.parent)


def replace(target: Path, data: bytes, *, temporary: Path, durable: bool = True) -> None:
    """Write a file, or what takes the place of one, in one instant.

    What need not outlive the power does without fsync(2), which takes milliseconds; after a failure
    such a file may be empty.
    """
    name = temporary_name(temporary)
    write_new(name, data, synced=durable)
    try:
        if durable:
            publish(name, target)
        else:
            os.rename(name, target)
    except OSError:
        name.unlink(missing_ok=True)
        raise


def remove(path: Path) -> bool:
    """Remove a file; say whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def remove_tree(path: Path) -> None:
    """Remove a directory and what is in it."""
    try:
        remove_all(path)
    except OSError:  # then as much of it as can be
        import shutil  # it brings every archive format there is, and commits do without

        shutil.rmtree(path, ignore_errors=True)


def below(path: Path) -> Iterator[Path]:
    """Yield the files below a directory, or the file itself; what vanishes meanwhile is left out."""
    waiting = [path]
    while waiting:
        each = waiting.pop()
        try:
            waiting += each.iterdir()
        except NotADirectoryError:
            yield each
        except FileNotFoundError:
            continue


def remove_all(path: Path) -> None:
    """Remove a directory that nobody else changes any more; raises OSError where something stays."""
    for _, folders, names, fd in os.fwalk(path, topdown=False):
        for name in names:
            os.unlink(name, dir_fd=fd)
        for name in folders:
            try:
                os.rmdir(name, dir_fd=fd)
            except NotADirectoryError:  # a link to one
                os.unlink(name, dir_fd=fd)
    os.rmdir(path)


def size_on_disk(path: Path) -> int:
    """Return the bytes that a file takes, holes not counted; 0 if there is none."""
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:
        return 0


def private_directory(path: Path) -> None:
    """Make sure of a directory that only we can change; LaminaError where somebody else has it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise LaminaError(f"{path}: not a directory of ours alone", hint="remove it, or set XDG_RUNTIME_DIR")


def is_held(path: Path) -> bool:
    """Say whether some process holds the lock of a file or directory."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contexts.contextmanager
def workshop(temporary: Path) -> Iterator[Path]:
    """Make a directory of our own, locked while we work in it, removed afterwards."""
    path = temporary_name(temporary)
    path.mkdir(mode=0o700)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield path
    finally:
        os.close(fd)
        remove_tree(path)
