"""Which ids of the host a container gets: subuid(5), subgid(5), or one's own id alone.

Theory.  root needs no user namespace.  Anybody else gets one in which 0 is himself; with
subordinate ids and newuidmap(1) the ids from 1 on are those, without them there is only 0, and
the driver shows all files as root's.
"""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from lamina_runtime.container.bundle import Map

FEWEST = 1000  # a range that is shorter does not even hold a Debian's users


@dataclass(frozen=True, slots=True)
class Ids:
    """The maps of a user namespace, both empty where there is none, and who writes them."""

    uids: tuple[Map, ...] = ()
    gids: tuple[Map, ...] = ()
    mappers: tuple[str, str] | None = None  # newuidmap's and newgidmap's path; else it can be done by hand

    @property
    def single(self) -> bool:
        """Whether there is one id only."""
        return len(self.uids) == 1


def choose(uid: int, gid: int, *, files: Path = Path("/etc")) -> Ids:
    """Return the best that user `uid` can have on this host."""
    if uid == 0:
        return Ids()
    own = Ids((Map(0, uid, 1),), (Map(0, gid, 1),))
    mappers = shutil.which("newuidmap"), shutil.which("newgidmap")
    names = _names(uid)
    uids, gids = ranges(files / "subuid", names), ranges(files / "subgid", names)
    if not (mappers[0] and mappers[1] and uids and gids):
        return own
    return Ids(_after(own.uids, uids), _after(own.gids, gids), (mappers[0], mappers[1]))


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
        return frozenset((str(uid), pwd.getpwuid(uid).pw_name))
    except KeyError:
        return frozenset((str(uid), os.environ.get("USER", "")))


def _after(own: tuple[Map, ...], rows: list[tuple[int, int]]) -> tuple[Map, ...]:
    maps, inside = list(own), 1
    for first, count in rows:
        maps.append(Map(inside, first, count))
        inside += count
    return tuple(maps)
