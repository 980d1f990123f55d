"""The layer directories: read a layers file, refuse stacks that cannot work.

Theory.  A wrong stack is refused before anything is opened for writing, with the name of the
option and of the path.  Directories are compared by (device, inode) along their ancestors,
walked through descriptors, so that links, bind mounts and `..` cannot hide an overlap.  An
ancestor is visited once however many layers lie below it, which keeps 500 layers cheap.

Lowers may overlap one another: nobody writes to them.  A lower that is a file is an image; it
lies where its directory lies, and what is in it the core finds out.
"""

from __future__ import annotations

import posix

from lamina_unionfs import words
from lamina_unionfs.errors import DriverError, OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_unionfs.options import Options

    Identity = tuple[int, int]

OPEN = posix.O_PATH | posix.O_CLOEXEC
TYPE, DIRECTORY = 0o170000, 0o040000  # of st_mode; the module stat costs time at the start
MAX_DEPTH = 4096  # more than PATH_MAX allows; bounds the walk to the root


def read_file(path: str) -> tuple[list[str], list[str], list[str], list[str]]:
    r"""Read a layers file: `lower PATH` and `upper PATH WORKDIR` lines, topmost first.

    `device PATH` lines name the data devices of lowers that are images.

    Empty lines and lines that begin with # do not count; a backslash takes the next
    character literally, so that a blank in a name is written `\ `.
    """
    lower: list[str] = []
    upper: list[str] = []
    work: list[str] = []
    device: list[str] = []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, start=1):
                match words.split_words(line):
                    case []:
                        pass
                    case [first, *_] if first.startswith("#"):
                        pass
                    case ["lower", directory]:
                        lower.append(directory)
                    case ["device", file]:
                        device.append(file)
                    case ["upper", directory, workdir]:
                        upper.append(directory)
                        work.append(workdir)
                    case _:
                        raise OptionError(
                            f"{path}, line {number}: 'lower PATH', 'upper PATH WORKDIR' "
                            "or 'device PATH' expected"
                        )
    except OSError as error:
        raise DriverError(f"layers={path}: {error.strerror}") from error
    return lower, upper, work, device


def check(options: Options) -> None:
    """Raise DriverError, or OptionError for a request that never makes sense."""
    if not options.lower and not options.upper:
        raise OptionError("no layers: lowerdir= is missing")
    if len(options.work) != len(options.upper):
        if not options.work:
            raise OptionError("workdir= is missing: each upper needs one")
        if not options.upper:
            raise OptionError("workdir= makes no sense without upperdir=")
        raise OptionError(f"{len(options.upper)} upper directories, but {len(options.work)} workdirs")
    found = _Survey()
    try:
        lower = [found.add("lowerdir", path) for path in options.lower]
        if not options.upper:
            return
        upper = [found.add("upperdir", path) for path in options.upper]
        work = [found.add("workdir", path) for path in options.work]
    finally:
        found.close()
    _check_file_systems(found, upper, work)
    _check_overlaps(found, lower, upper, work)


def _check_file_systems(found: _Survey, upper: list[Identity], work: list[Identity]) -> None:
    for up, wd in zip(upper, work, strict=True):
        if up[0] != wd[0] or found.mount_id[up] != found.mount_id[wd]:
            raise DriverError(
                f"upperdir {found.path[up]} and workdir {found.path[wd]} are on different file systems"
            )


def _check_overlaps(
    found: _Survey, lower: list[Identity], upper: list[Identity], work: list[Identity]
) -> None:
    taken: dict[Identity, str] = {}
    for kind, group in (("upperdir", upper), ("workdir", work)):
        for one in group:
            if one in taken:
                raise DriverError(f"{kind} and {taken[one]} are the same directory: {found.path[one]}")
            taken[one] = kind
    for one in lower:
        if one in taken:
            raise DriverError(f"lowerdir and {taken[one]} are the same directory: {found.path[one]}")
    kinds = taken | dict.fromkeys(lower, "lowerdir")
    for inner, kind in kinds.items():
        for outer in found.ancestors(inner):
            if outer in taken or (kind != "lowerdir" and outer in kinds):
                raise DriverError(
                    f"{kind} {found.path[inner]} lies inside {kinds[outer]} {found.path[outer]}"
                )


class _Survey:
    """Directories by identity, and the parent of each of their ancestors."""

    def __init__(self) -> None:
        self.path: dict[Identity, str] = {}
        self.mount_id: dict[Identity, str] = {}
        self.parent: dict[Identity, Identity] = {}
        self._walk = True

    def close(self) -> None:
        """Nothing stays open between calls; the survey is only data from here on."""
        self._walk = False

    def add(self, option: str, path: str) -> Identity:
        """Look at a directory and its ancestors."""
        assert self._walk
        may_be_image = option == "lowerdir"
        try:
            fd = posix.open(path, OPEN if may_be_image else OPEN | posix.O_DIRECTORY)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DriverError(f"{option} {path}: {reason}") from error
        try:
            identity = _identity(fd)
            self.path.setdefault(identity, path)
            if option != "lowerdir":
                self.mount_id[identity] = _mount_id(fd)
            if may_be_image and not _is_directory(fd):
                self._climb_from_file(fd, identity)
            else:
                self._climb(fd, identity)
        finally:
            posix.close(fd)
        return identity

    def _climb_from_file(self, fd: int, identity: Identity) -> None:
        try:
            path = posix.readlink(b"/proc/self/fd/%d" % fd)
            directory = posix.open(path.rpartition(b"/")[0] or b"/", OPEN | posix.O_DIRECTORY)
        except OSError:
            return  # it lies nowhere that we can see
        try:
            self.parent[identity] = _identity(directory)
            self._climb(directory, self.parent[identity])
        finally:
            posix.close(directory)

    def _climb(self, fd: int, identity: Identity) -> None:
        current = posix.dup(fd)
        try:
            for _ in range(MAX_DEPTH):
                if identity in self.parent:
                    return
                above = posix.open("..", posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC, dir_fd=current)
                posix.close(current)
                current = above
                self.parent[identity] = _identity(current)
                identity = self.parent[identity]
        except PermissionError:
            return  # what we may not search cannot be compared, nor be a layer of ours
        finally:
            posix.close(current)

    def ancestors(self, identity: Identity) -> list[Identity]:
        """Return what lies above a directory, nearest first, up to the root."""
        above: list[Identity] = []
        while identity in self.parent and self.parent[identity] != identity:
            identity = self.parent[identity]
            above.append(identity)
        return above


def _is_directory(fd: int) -> bool:
    return posix.fstat(fd).st_mode & TYPE == DIRECTORY


def _identity(fd: int) -> Identity:
    status = posix.fstat(fd)
    return (status.st_dev, status.st_ino)


def _mount_id(fd: int) -> str:
    """Return the mount's number as text, empty where /proc does not tell."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("mnt_id:"):
                    return line.split()[1]
    except OSError:
        pass
    return ""
