"""Draw random operations over a tree that is known roughly.

`Generator` knows paths and types as the oracle showed them last (`observe`), and learns from
what succeeded since (`learn`).  It may be wrong: an operation on what is gone is a good one too.
"""

import os
import random
import stat
from collections.abc import Callable

from tests.differential import acl, calls, vocabulary
from tests.differential.operations import Op, Outcome

MANY = 130  # objects, from which on removing is likelier than adding
SLOTS = 6
USER_CHANCE = 0.12
INO_CHANCE = 0.3
KNOWN_CHANCE = 0.93

_KEEPS_INO = {"chmod", "chown", "utimens", "setxattr", "write", "truncate", "fallocate", "open"}


class Generator:
    """Source of operations; the same seed and the same outcomes give the same ones."""

    def __init__(self, rng: random.Random, *, private_prefix: str = "trusted.overlay.") -> None:
        self.rng = rng
        self.types: dict[str, str] = {"": "dir"}
        self._private_prefix = private_prefix
        self._table: list[tuple[int, Callable[[], Op]]] = [
            (6, self._mkdir),
            (7, self._create),
            (3, self._symlink),
            (2, self._mknod),
            (4, self._link),
            (5, self._unlink),
            (4, self._rmdir),
            (9, self._rename),
            (1, self._rmtree),
            (8, self._write),
            (3, self._truncate),
            (3, self._fallocate),
            (2, self._mmap),
            (2, self._copy_range),
            (6, self._chmod),
            (4, self._chown),
            (4, self._utimens),
            (6, self._xattr),
            (3, self._acl),
            (8, self._look),
            (3, self._dirscan),
            (7, self._open),
            (16, self._handle),
            (6, self._below_handle),
        ]

    # ---- what is known ----

    def observe(self, root: str) -> None:
        """Learn the whole tree from one side."""
        self.types = {"": "dir"}
        for folder, folders, files in os.walk(root):
            for child in folders + files:
                relative = os.path.relpath(f"{folder}/{child}", root)
                try:
                    mode = os.lstat(f"{folder}/{child}").st_mode
                except OSError:
                    continue
                self.types[relative] = "dir" if stat.S_ISDIR(mode) else "other"
                if stat.S_ISREG(mode):
                    self.types[relative] = "file"

    def learn(self, op: Op, outcome: Outcome) -> None:
        """Follow what a successful operation did to names."""
        while op[0] in ("as_user", "same_ino"):
            op = op[-1]
        if outcome[0] != "ok":
            return
        match op:
            case ("mkdir", path, *_):
                self.types[path] = "dir"
            case ("create", path, *_) | ("flink", _, path):
                self.types[path] = "file"
            case ("symlink", _, path) | ("mknod", path, *_):
                self.types[path] = "other"
            case ("link", source, target):
                self.types[target] = self.types.get(source, "file")
            case ("unlink" | "rmdir" | "rmtree", path):
                self._forget(path)
            case ("rename", source, target, flags):
                self._move(source, target, flags)

    def _forget(self, path: str) -> None:
        for known in [k for k in self.types if k == path or k.startswith(path + "/")]:
            if known:
                del self.types[known]

    def _move(self, source: str, target: str, flags: int) -> None:
        moved = self._take(source)
        other = self._take(target)
        for rest, kind in moved.items():
            self.types[target + rest] = kind
        if flags == calls.RENAME_EXCHANGE:
            for rest, kind in other.items():
                self.types[source + rest] = kind

    def _take(self, path: str) -> dict[str, str]:
        names = [k for k in self.types if k == path or k.startswith(path + "/")]
        return {name[len(path) :]: self.types.pop(name) for name in names if name}

    # ---- drawing ----

    def next(self) -> Op:
        """Draw one operation."""
        if len(self.types) > MANY and self.rng.random() < 0.4:
            return ("rmtree", self._path("dir") or self._path())
        weights = [weight for weight, _ in self._table]
        op = self.rng.choices(self._table, weights)[0][1]()
        if op[0] in _KEEPS_INO and self.rng.random() < INO_CHANCE:
            path = op[2] if op[0] == "open" else op[1]
            op = ("same_ino", path, op)
        if self.rng.random() < USER_CHANCE:
            op = ("as_user", *self.rng.choice(vocabulary.USERS), op)
        return op

    def _path(self, kind: str = "") -> str:
        """Name an object that should exist, of a kind if given."""
        if self.rng.random() < KNOWN_CHANCE:
            known = [p for p, k in self.types.items() if p and kind in ("", k)]
            if known:
                return self.rng.choice(known)
        return self._new()

    def _new(self) -> str:
        """Name an object that may or may not exist, in a directory that should."""
        parents = [p for p, k in self.types.items() if k == "dir" and p.count("/") < vocabulary.MAX_DEPTH - 2]
        parent = self.rng.choice(parents)
        return f"{parent}/{vocabulary.name(self.rng)}" if parent else vocabulary.name(self.rng)

    def _seed(self) -> int:
        return self.rng.randrange(1, 10_000)

    def _slot(self) -> int:
        return self.rng.randrange(SLOTS)

    def _mkdir(self) -> Op:
        return ("mkdir", self._new(), self.rng.choice(vocabulary.DIRECTORY_MODES))

    def _create(self) -> Op:
        flags = self.rng.choice((0, os.O_EXCL, os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_NOFOLLOW))
        size = vocabulary.size(self.rng)
        return ("create", self._new(), flags, self.rng.choice(vocabulary.MODES), self._seed(), size)

    def _symlink(self) -> Op:
        path = self._new()
        return ("symlink", vocabulary.symlink_target(self.rng, path.count("/") + 1), path)

    def _mknod(self) -> Op:
        kind, major, minor = self.rng.choice(
            (
                (stat.S_IFIFO, 0, 0),
                (stat.S_IFCHR, 1, 3),
                (stat.S_IFBLK, 7, 9),
                (stat.S_IFSOCK, 0, 0),
                (stat.S_IFCHR, 0, 0),
                (stat.S_IFREG, 0, 0),
            )
        )
        return ("mknod", self._new(), kind | self.rng.choice(vocabulary.MODES), major, minor)

    def _link(self) -> Op:
        return ("link", self._path(self.rng.choice(("file", "file", "other", "dir"))), self._new())

    def _unlink(self) -> Op:
        return ("unlink", self._path(self.rng.choice(("file", "file", "other", "dir"))))

    def _rmdir(self) -> Op:
        return ("rmdir", self._path(self.rng.choice(("dir", "dir", "dir", "file"))))

    def _rmtree(self) -> Op:
        return ("rmtree", self._path("dir"))

    def _rename(self) -> Op:
        source = self._path(self.rng.choice(("dir", "dir", "file", "other")))
        flags = self.rng.choice((0, 0, 0, calls.RENAME_NOREPLACE, calls.RENAME_EXCHANGE))
        existing = flags == calls.RENAME_EXCHANGE or self.rng.random() < 0.3
        target = self._path(self.types.get(source, "")) if existing else self._new()
        return ("rename", source, target, flags)

    def _write(self) -> Op:
        flags = self.rng.choice((0, 0, os.O_APPEND, os.O_TRUNC))
        return (
            "write",
            self._path("file"),
            flags,
            vocabulary.size(self.rng),
            self._seed(),
            vocabulary.size(self.rng),
        )

    def _truncate(self) -> Op:
        return ("truncate", self._path("file"), vocabulary.size(self.rng))

    def _fallocate(self) -> Op:
        punch = calls.FALLOC_PUNCH_HOLE | calls.FALLOC_KEEP_SIZE
        mode = self.rng.choice((0, calls.FALLOC_KEEP_SIZE, punch, punch))
        return ("fallocate", self._path("file"), mode, vocabulary.size(self.rng), vocabulary.size(self.rng))

    def _mmap(self) -> Op:
        return ("mmap_write", self._path("file"), vocabulary.size(self.rng), self._seed(), 5000)

    def _copy_range(self) -> Op:
        offsets = (vocabulary.size(self.rng), vocabulary.size(self.rng))
        return ("copy_range", self._path("file"), self._path("file"), offsets, vocabulary.size(self.rng))

    def _chmod(self) -> Op:
        path = self._path()
        modes = vocabulary.DIRECTORY_MODES if self.types.get(path) == "dir" else vocabulary.MODES
        return ("chmod", path, self.rng.choice(modes))

    def _chown(self) -> Op:
        ids = (-1, *vocabulary.OWNERS)
        return ("chown", self._path(), self.rng.choice(ids), self.rng.choice(ids))

    def _utimens(self) -> Op:
        if self.rng.random() < 0.2:
            return ("touch", self._path())
        return ("utimens", self._path(), vocabulary.time(self.rng), vocabulary.time(self.rng))

    def _xattr(self) -> Op:
        name, value = vocabulary.xattr(self.rng)
        if self.rng.random() < 0.05:
            name, value = f"{self._private_prefix}opaque", b"y"
        path = self._path()
        choices: tuple[Op, ...] = (
            ("setxattr", path, name, value, self.rng.choice((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))),
            ("setxattr", path, name, value, 0),
            ("getxattr", path, name),
            ("listxattr", path),
            ("removexattr", path, name),
        )
        return self.rng.choice(choices)

    def _acl(self) -> Op:
        kind = self.rng.choice((acl.ACCESS, acl.DEFAULT))
        path = self._path("dir" if kind == acl.DEFAULT else "")
        choices: tuple[Op, ...] = (
            ("setxattr", path, kind, vocabulary.acl_value(self.rng), 0),
            ("setxattr", path, kind, vocabulary.acl_value(self.rng), 0),
            ("getxattr", path, kind),
            ("removexattr", path, kind),
        )
        return self.rng.choice(choices)

    def _look(self) -> Op:
        path = self._path()
        choices: tuple[Op, ...] = (
            ("lstat", path),
            ("lstat", self._new()),
            ("readlink", path),
            ("access", path, self.rng.randrange(8)),
            ("listdir", self._path("dir")),
            ("read", self._path("file"), vocabulary.size(self.rng), vocabulary.size(self.rng)),
        )
        return self.rng.choice(choices)

    def _dirscan(self) -> Op:
        taken = self.rng.choice((0, 1, 2, 3, 5, 9))
        return ("dirscan", self._path("dir"), taken, vocabulary.name(self.rng), vocabulary.name(self.rng))

    def _open(self) -> Op:
        slot, chance = self._slot(), self.rng.random()
        if chance < 0.25:
            return ("opendir", slot, self._path("dir"))
        if chance < 0.35:
            return ("tmpfile", slot, self._path("dir"), self.rng.choice(vocabulary.MODES))
        flags = self.rng.choice(
            (
                os.O_RDONLY,
                os.O_RDONLY,
                os.O_RDWR,
                os.O_WRONLY,
                os.O_RDWR | os.O_TRUNC,
                os.O_RDWR | os.O_APPEND,
            )
        )
        return ("open", slot, self._path("file"), flags, 0)

    def _handle(self) -> Op:
        slot, size, length = self._slot(), vocabulary.size(self.rng), vocabulary.size(self.rng)
        name, value = vocabulary.xattr(self.rng)
        choices: tuple[Op, ...] = (
            ("close", slot),
            ("pread", slot, size, length),
            ("pread", slot, 0, length),
            ("pwrite", slot, size, self._seed(), length),
            ("pwrite", slot, 0, self._seed(), length),
            ("ftruncate", slot, size),
            ("ffallocate", slot, calls.FALLOC_PUNCH_HOLE | calls.FALLOC_KEEP_SIZE, size, length + 1),
            ("fstat", slot),
            ("fstat", slot),
            ("fchmod", slot, self.rng.choice(vocabulary.MODES)),
            ("fchown", slot, self.rng.choice(vocabulary.OWNERS), -1),
            ("futimens", slot, vocabulary.time(self.rng), vocabulary.time(self.rng)),
            ("fsetxattr", slot, name, value),
            ("fsync", slot),
            ("flink", slot, self._new()),
        )
        return self.rng.choice(choices)

    def _below_handle(self) -> Op:
        slot, name = self._slot(), vocabulary.name(self.rng)
        choices: tuple[Op, ...] = (
            ("listdir_at", slot),
            ("create_at", slot, name, 0o640),
            ("mkdir_at", slot, name, 0o750),
            ("unlink_at", slot, name),
            ("lstat_at", slot, name),
        )
        return self.rng.choice(choices)
