"""A whole tree in comparable form, and the inode numbers beside it.

`Snapshot.objects` holds what both sides must agree on.  Inode numbers differ between sides, so
only relations of them are kept comparable: which names are one inode (`groups`), and for which
entries readdir and stat disagree about the number (`ino_disagrees`).
"""

import os
import stat
from collections import defaultdict
from dataclasses import dataclass, field

from tests.differential import calls
from tests.differential.objects import Fields, attributes, digest, xattrs

MAX_OBJECTS = 20_000  # a walk that finds more goes in circles


@dataclass
class Snapshot:
    """One side's tree at one instant; keys are relative paths, the root is ""."""

    objects: dict[str, Fields] = field(default_factory=dict)
    inodes: dict[str, tuple[int, int]] = field(default_factory=dict)
    ino_disagrees: set[str] = field(default_factory=set)

    def groups(self) -> set[frozenset[str]]:
        """Names that share one inode, where there are several."""
        names: dict[tuple[int, int], set[str]] = defaultdict(set)
        for path, inode in self.inodes.items():
            names[inode].add(path)
        return {frozenset(group) for group in names.values() if len(group) > 1}


def take(root: str) -> Snapshot:
    """Walk `root` depth first and record everything."""
    snapshot = Snapshot()
    pending = [("", 0)]
    while pending:
        relative, listed_ino = pending.pop()
        path = f"{root}/{relative}" if relative else root
        fields, inode = _record(path)
        snapshot.objects[relative] = fields
        snapshot.inodes[relative] = inode
        if relative and listed_ino != inode[1]:
            snapshot.ino_disagrees.add(relative)
        if len(snapshot.objects) > MAX_OBJECTS:
            raise RuntimeError(f"more than {MAX_OBJECTS} objects below {root}")
        if fields["type"] == "dir":
            prefix = f"{relative}/" if relative else ""
            pending.extend((prefix + name, ino) for name, ino in _entries(path, fields))
    return snapshot


def _entries(path: str, fields: Fields) -> list[tuple[str, int]]:
    with calls.opened_directory(path) as directory:
        entries = [e for e in directory.read() if e.name not in (".", "..")]
    names = sorted(entry.name for entry in entries)
    if len(names) != len(set(names)):
        fields["duplicate entries"] = [name for name in names if names.count(name) > 1]
    return [(entry.name, entry.ino) for entry in entries]


def _record(path: str) -> tuple[Fields, tuple[int, int]]:
    """Everything of one object; an entry of readdir that cannot be looked at shows its errno."""
    try:
        status = os.lstat(path)
        fields = attributes(status)
        fields["xattrs"] = xattrs(path)
        if stat.S_ISLNK(status.st_mode):
            fields["target"] = os.readlink(path)
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                fields["content"] = digest(file.read())
    except OSError as exc:
        return {"type": f"error {exc.errno} {exc.strerror}"}, (0, hash(path))
    return fields, (status.st_dev, status.st_ino)


def differences(oracle: Snapshot, target: Snapshot) -> list[str]:
    """Compare two trees; one line a difference, `oracle` first."""
    lines: list[str] = []
    for path in sorted(oracle.objects.keys() | target.objects.keys()):
        expected, found = oracle.objects.get(path), target.objects.get(path)
        if expected is None or found is None:
            where = "only on the target" if expected is None else "missing on the target"
            lines.append(f"{path!r}: {where}: {expected or found}")
            continue
        lines.extend(
            f"{path!r}: {key} of a {expected['type']}: {expected.get(key)} != {found.get(key)}"
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)
        )
    lines.extend(_inode_differences(oracle, target))
    return lines


def _inode_differences(oracle: Snapshot, target: Snapshot) -> list[str]:
    lines = [
        f"one inode on the target only: {sorted(group)}"
        for group in sorted(target.groups() - oracle.groups(), key=sorted)
    ]
    lines.extend(
        f"one inode on the oracle only: {sorted(group)}"
        for group in sorted(oracle.groups() - target.groups(), key=sorted)
    )
    disagrees = target.ino_disagrees - oracle.ino_disagrees
    lines.extend(f"{path!r}: d_ino is not st_ino" for path in sorted(disagrees))
    return lines


def moved_inodes(before: Snapshot, after: Snapshot) -> set[str]:
    """Paths whose inode number changed between two snapshots of one side."""
    return {
        path
        for path, inode in before.inodes.items()
        if path in after.inodes and after.inodes[path][1] != inode[1]
    }
