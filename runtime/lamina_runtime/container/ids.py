"""Which ids of the host a container gets: subuid(5), subgid(5), or one's own id alone.

Theory.  root needs no user namespace.  Anybody else gets one in which 0 is himself; with
subordinate ids and newuidmap(1) the ids from 1 on are those, without them there is only 0, and
the driver shows all files as root's.

newuidmap may be there and useless: without its setuid bit or capability, on a file system mounted
nosuid, under no_new_privs.  That is seen beforehand.  Where it refuses for another reason, a file of
doubts remembers it (`doubt`), until newuidmap or the files of subordinate ids change: what one
container wrote with one id, the next command must not look for with many.
"""

from __future__ import annotations

import os
import stat

from lamina_runtime.container.common import Map
from lamina_runtime.fspath import Path
from lamina_runtime.programs import which
from lamina_runtime.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DOUBTS = "one-id"
ETC = Path("/etc")
FEWEST = 1000  # a range that is shorter does not even hold a Debian's users


@value
class Ids:
    """The maps of a user namespace, both empty where there is none, and who writes them."""

    uids: tuple[Map, ...] = ()
    gids: tuple[Map, ...] = ()
    mappers: tuple[str, str] | None = None  # newuidmap's and newgidmap's path; else it can be done by hand
    why: str = ""  # why there is one id although the host promises more

    @property
    def single(self) -> bool:
        """Whether there is one id only."""
        return len(self.uids) == 1


def choose(uid: int, gid: int, *, files: Path = ETC, doubts: Path | None = None) -> Ids:
    """Return the best that user `uid` can have on this host; `doubts` is where `doubt` wrote."""
    if uid == 0:
        return Ids()
    own = single(uid, gid)
    mappers = which("newuidmap"), which("newgidmap")
    names = _names(uid)
    uids, gids = ranges(files / "subuid", names), ranges(files / "subgid", names)
    if not (mappers[0] and mappers[1] and uids and gids):
        return own
    why = _powerless(mappers)
    if not why and doubts and _read(doubts) == _signature(files):
        why = f"{mappers[0]} refused the ids"
    if why:
        return replace(own, why=why)
    return Ids(_after(own.uids, uids), _after(own.gids, gids), (mappers[0], mappers[1]))


def single(uid: int, gid: int) -> Ids:
    """Return the map of one's own id alone."""
    return Ids((Map(0, uid, 1),), (Map(0, gid, 1),))


def doubt(uid: int, gid: int, doubts: Path, *, files: Path = ETC) -> Ids:
    """Note that the mappers refused what the files promise; return what is left."""
    doubts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    doubts.write_text(_signature(files), encoding="ascii")
    return replace(single(uid, gid), why="newuidmap refused the ids")


def _powerless(mappers: Sequence[str | None]) -> str:
    """Say why a mapper cannot do its work, "" where nothing speaks against it."""
    for path in filter(None, mappers):
        try:
            status = os.stat(path)
            if os.statvfs(path).f_flag & os.ST_NOSUID:
                return f"{path} lies on a file system that is mounted nosuid"
            if not (status.st_mode & stat.S_ISUID and status.st_uid == 0) and not _capable(path):
                return f"{path} has neither the setuid bit nor capabilities"
        except OSError as error:
            return f"{path}: {error.strerror}"
    return "no_new_privs is set, newuidmap gains nothing" if _sealed() else ""


def _capable(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def _sealed() -> bool:
    return "\nNoNewPrivs:\t1\n" in _read(Path("/proc/self/status"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _signature(files: Path) -> str:
    """Return what changes when somebody mends the mappers or their configuration."""
    paths = [which("newuidmap"), which("newgidmap"), files / "subuid", files / "subgid"]
    rows = []
    for path in paths:
        try:
            status = os.stat(path) if path else None
        except OSError:
            status = None
        if status is None:
            continue
        rows.append(f"{path} {status.st_ino} {status.st_size} {status.st_ctime_ns}")
    return "\n".join(rows)


def ranges(path: Path, names: frozenset[str]) -> list[tuple[int, int]]:
    """Return (first, count) of the ranges that a file gives to one of the names."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if owner in names and first.isdecimal() and count.isdecimal() and int(count) >= FEWEST:
            found.append((int(first), int(count)))
    return found


def _names(uid: int) -> frozenset[str]:
    try:
        import pwd

        return frozenset((str(uid), pwd.getpwuid(uid).pw_name))
    except KeyError:
        return frozenset((str(uid), os.environ.get("USER", "")))


def _after(own: tuple[Map, ...], rows: list[tuple[int, int]]) -> tuple[Map, ...]:
    maps, inside = list(own), 1
    for first, count in rows:
        maps.append(Map(inside, first, count))
        inside += count
    return tuple(maps)
