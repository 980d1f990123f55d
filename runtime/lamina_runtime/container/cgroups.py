"""Control groups of this host: a place for a container's limits, or a clear no.

Theory.  A group may be made below the one that we are in, or below one above it, where that is ours
to write: as root, or where a manager has delegated it (cgroups(7), "Delegation").  In version 1 each
controller has a hierarchy of its own.  In version 2 there is one; a group that has processes gives
no controllers to those below it, so the place is often further up.

A limit that cannot be had is refused: nothing would keep the container from what it was to be kept
from.  The launcher moves the first process in, and removes the groups at the end.
"""

from __future__ import annotations

import errno
import os

from lamina_runtime import contexts
from lamina_runtime.container import limits
from lamina_runtime.errors import LaminaError
from lamina_runtime.fspath import Path
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from lamina_runtime.container.state import Container

WORDS = {"memory": "--memory", "cpu": "--cpus", "cpuset": "--cpuset-cpus", "pids": "--pids-limit",
         "blkio": "--blkio-weight"}  # fmt: skip
SWAP = ("memory.memsw.limit_in_bytes", "memory.swap.max")
IO = {"blkio": "io"}  # what version 2 calls otherwise


class LimitError(LaminaError):
    """A limit cannot be set here."""

    exit_code = 125


@value
class Hierarchy:
    """One tree of groups, as mounted here."""

    version: int
    top: Path
    own: Path  # where we are in it
    controllers: frozenset[str]

    def candidates(self) -> Iterator[Path]:
        """Yield where groups might be made, the nearest first."""
        place = self.own
        while True:
            if os.access(place, os.W_OK) and os.access(place / "cgroup.procs", os.W_OK):
                yield place
            if place == self.top or self.top not in place.parents:
                return
            place = place.parent


def hierarchies(mountinfo: str, membership: str) -> list[Hierarchy]:
    """Read what /proc/self/mountinfo and /proc/self/cgroup say."""
    ours: dict[str, str] = {}
    for line in membership.splitlines():
        _, mine, path = [*line.split(":", 2), "", ""][:3]
        ours |= dict.fromkeys(mine.split(",") if mine else [""], path)
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(fields) < 5 or len(kinds) < 3 or kinds[0] not in ("cgroup", "cgroup2"):
            continue
        root, top = fields[3], Path(fields[4])
        names = frozenset(kinds[2].split(",")) & ours.keys()
        path = ours.get("" if kinds[0] == "cgroup2" else min(names, default="?"), "/")
        below = path.removeprefix(root.rstrip("/")) if (path + "/").startswith(root.rstrip("/") + "/") else ""
        if kinds[0] == "cgroup2":
            names = frozenset(_text(top / "cgroup.controllers").split())
        found.append(Hierarchy(2 if kinds[0] == "cgroup2" else 1, top, top / below.strip("/"), names))
    return found


def here() -> list[Hierarchy]:
    """Return the hierarchies that we see."""
    return hierarchies(_text(Path("/proc/self/mountinfo")), _text(Path("/proc/self/cgroup")))


def make(
    name: str,
    resources: Mapping[str, Any],
    *,
    lenient: bool = False,
    place: Sequence[Hierarchy] | None = None,
) -> list[Path]:
    """Make groups for a container and set its limits; return them.  LimitError where that cannot be.

    `lenient` forgives a kernel that counts no swap, where a limit of it was nobody's wish.
    """
    trees = here() if place is None else place
    made: list[Path] = []
    try:
        for controller, files in limits.version_1(resources).items():
            group = _group(name, controller, trees, made)
            if (group / "cgroup.controllers").exists():
                files = limits.version_2(resources)[IO.get(controller, controller)]  # noqa: PLW2901
            elif controller == "cpuset":
                _inherit(group, "cpuset.mems")
            files = [row for row in files if not lenient or row[0] not in SWAP or (group / row[0]).exists()]  # noqa: PLW2901
            _write(group, controller, files)
    except BaseException:
        remove(made)
        raise
    return list(dict.fromkeys(made))


def change(groups: Sequence[Path], resources: Mapping[str, Any]) -> None:
    """Set other limits in groups that are there."""
    for controller, files in limits.version_1(resources).items():
        for group in groups:
            if (group / "cgroup.controllers").exists():
                name = IO.get(controller, controller)
                if name in _text(group / "cgroup.controllers").split():
                    _write(group, controller, limits.version_2(resources)[name])
                    break
            elif (group / files[0][0]).exists():
                _write(group, controller, files)
                break
        else:
            raise LimitError(
                f"{WORDS[controller]}: the container runs without a control group for it",
                hint="stop it first: the limit takes effect when it is started again",
            )


def keep(container: Container, groups: Sequence[Path]) -> None:
    """Write down which groups a container has."""
    (container.data / "cgroups").write_bytes(b"".join(os.fsencode(group) + b"\n" for group in groups))


def kept(container: Container) -> list[Path]:
    """Return the groups that were written down."""
    try:
        lines = (container.data / "cgroups").read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [Path(os.fsdecode(line)) for line in lines]


def remove(groups: Sequence[Path]) -> None:
    """Remove groups that have no process any more."""
    for group in groups:
        with contexts.suppress(OSError):
            group.rmdir()


def _group(name: str, controller: str, trees: Sequence[Hierarchy], made: list[Path]) -> Path:
    """Make the group where a controller is to be had."""
    reasons = []
    for tree in trees:
        word = IO.get(controller, controller) if tree.version == 2 else controller
        if word not in tree.controllers:
            continue
        for place in tree.candidates():
            try:
                if tree.version == 2:
                    _enable(place, word)
                group = place / f"lamina-{name}"
                group.mkdir(exist_ok=True)
            except OSError as failure:
                reasons.append(f"{place}: {failure.strerror}")
                continue
            made.append(group)
            return group
        reasons.append(f"{tree.own}: not ours to write")
    raise LimitError(
        f"{WORDS[controller]}: no control group of ours has the controller {controller!r} here",
        details="; ".join(dict.fromkeys(reasons)),
        hint="root has them, and who is given them: systemd-run --user --scope -p Delegate=yes lamina ...",
    )


def _enable(place: Path, controller: str) -> None:
    """Hand a controller down, where that is not done already."""
    if controller in _text(place / "cgroup.subtree_control").split():
        return
    if controller not in _text(place / "cgroup.controllers").split():
        raise OSError(errno.ENOENT, "the controller is not handed down to it")
    _put(place / "cgroup.subtree_control", f"+{controller}")


def _inherit(group: Path, file: str) -> None:
    if not _text(group / file).strip():
        _put(group / file, _text(group.parent / file))


def _write(group: Path, controller: str, files: Sequence[tuple[str, str]]) -> None:
    """Write values; those that others stand in the way of once more, after them."""
    again: list[tuple[str, str]] = []
    for turn, rows in ((1, files), (2, again)):
        for file, wanted in rows:
            try:
                _put(group / file, wanted)
            except OSError as failure:
                if turn == 1 and failure.errno in (errno.EINVAL, errno.EBUSY):
                    again.append((file, wanted))
                    continue
                raise LimitError(f"{WORDS[controller]}: {group}/{file}: {failure.strerror}") from None


def _put(path: Path, wanted: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, wanted.encode("ascii"))
    finally:
        os.close(fd)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
