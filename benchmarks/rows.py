"""The measurements: what each does, on what, and the goals it is held to.

A goal is (times kernel overlayfs, times fuse-overlayfs); lower is better.  In command lines
{m} is the mount point, {l} the topmost lower, {a} the archive.  "Cold" is a fresh mount over
lowers whose pages are in memory: what is measured is the union, not the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import fixtures
from benchmarks.bed import Bed

Words = tuple[str, ...]
Goal = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much work a row does."""

    created: int = 5000
    files: int = 2000
    meta_size: int = fixtures.MIB
    large: int = 1 << 30
    random: int = 50000


FULL = Scale()
QUICK = Scale(created=2000, files=1000, meta_size=64 << 10, large=128 << 20, random=10000)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    'steady' is run on the lower before each sample, 'before' in the mount; 'work' is what counts.
    'bare' says what stands for the mount without a union: "lower", "upper" (an empty directory)
    or nothing.  'value' is the time of 'work', or what the mount itself has: "start", "memory".
    """

    name: str
    title: str
    lowers: Callable[[Bed], Sequence[Path]]
    work: Words = ()
    before: tuple[Words, ...] = ()
    steady: Words = ()
    upper: str = "tmpfs"
    bare: str = ""
    goals: dict[str, Goal] = field(default_factory=dict)
    value: str = "time"
    limit: float = 0.0

    @property
    def unit(self) -> str:
        """Return the unit of the row's values."""
        return "MiB" if self.value == "memory" else "ms"


def _both(kernel: float, peer: float) -> dict[str, Goal]:
    return {"root": (kernel, peer), "user": (kernel, peer)}


def _goals(*, root: Goal, user: Goal) -> dict[str, Goal]:
    return {"root": root, "user": user}


IMPORTS = "asyncio, decimal, email.message, http.client, logging.config, sqlite3, unittest, xml.dom.minidom"


def table(scale: Scale) -> list[Row]:
    """Return all rows, in the order in which they are reported."""
    return [
        *_trees(),
        *_names(scale),
        *_copyups(scale),
        *_data(scale),
        *_programs(),
        *_layers(scale),
        *_mounts(),
    ]


def _trees() -> list[Row]:
    def lowers(_: Bed) -> Sequence[Path]:
        return (fixtures.debian(),)

    walk, read = ("walk", "{m}"), ("read", "{m}")
    lower = ("read", "{l}")
    warm_walk = _goals(root=(0.85, 0.65), user=(0.85, 0.65))
    cold_read = _goals(root=(1.5, 0.4), user=(2.5, 0.65))
    return [
        Row("walk-cold", "walk + lstat, cold", lowers, walk, (), lower, bare="lower", goals=_both(1.3, 0.4)),
        Row(
            "walk-warm",
            "walk + lstat, warm",
            lowers,
            walk,
            (walk, walk),
            lower,
            bare="lower",
            goals=warm_walk,
        ),
        Row("read-cold", "read every file, cold", lowers, read, (), lower, bare="lower", goals=cold_read),
        Row(
            "read-warm",
            "read every file, warm",
            lowers,
            read,
            (read, read),  # reading makes the kernel forget atime: the next pass asks once more
            lower,
            bare="lower",
            goals=_both(1.1, 0.6),
        ),
    ]


def _names(scale: Scale) -> list[Row]:
    def small(_: Bed) -> Sequence[Path]:
        return (fixtures.files(scale.files, 4096),)

    create = ("create", "{m}", str(scale.created), "1024")
    unlink = ("each", "unlink", "{m}", str(scale.created))
    untar = ("run", "tar", "--exclude=./dev/*", "-xf", "{a}", "-C", "{m}")
    created = f"{scale.created:,} x 1 KiB"
    return [
        Row(
            "create", f"create {created}", small, create, bare="upper",
            goals=_goals(root=(2.0, 0.2), user=(2.2, 0.22)),
        ),
        Row(
            "unlink", f"unlink {created}", small, unlink, (create,), bare="upper",
            goals=_goals(root=(1.3, 0.1), user=(1.6, 0.12)),
        ),
        Row(
            "untar", "untar a Debian", small, untar, bare="upper",
            goals=_goals(root=(1.5, 0.4), user=(2.0, 0.5)),
        ),
    ]  # fmt: skip


def _copyups(scale: Scale) -> list[Row]:
    def small(_: Bed) -> Sequence[Path]:
        return (fixtures.files(scale.files, 4096),)

    def meta(_: Bed) -> Sequence[Path]:
        return (fixtures.files(scale.files, scale.meta_size),)

    def on(kind: str) -> Callable[[Bed], Sequence[Path]]:
        return lambda bed: (fixtures.large(bed.image(kind) / "lower", scale.large),)

    def each(verb: str) -> Words:
        return ("each", verb, "{m}/d", str(scale.files))

    files, size, large = f"{scale.files:,}", scale.meta_size >> 10, f"{scale.large >> 20} MiB"
    change, steady = ("change", "{m}/large"), ("seqread", "{l}/large")
    return [
        Row(
            "copyup-small", f"copy up {files} x 4 KiB", small, each("change"), (), ("read", "{l}"),
            goals=_both(1.0, 0.45),
        ),
        Row("chmod", f"chmod {files} x {size} KiB", meta, each("chmod"), goals=_both(0.8, 0.3)),
        Row("chown", f"chown {files} x {size} KiB", meta, each("chown"), goals=_both(0.8, 0.3)),
        Row(
            "copyup-ext4", f"copy up {large}, ext4", on("ext4"), change, (), steady, "ext4",
            goals=_both(0.7, 1.0),
        ),
        Row(
            "copyup-reflink", f"copy up {large}, xfs reflink", on("xfs"), change, (), steady, "xfs",
            goals=_both(2.0, 0.5),
        ),
    ]  # fmt: skip


def _data(scale: Scale) -> list[Row]:
    def lowers(_: Bed) -> Sequence[Path]:
        return (fixtures.large(fixtures.FIXTURES / f"large-{scale.large}", scale.large),)

    large = f"{scale.large >> 20} MiB"
    read, steady = ("seqread", "{m}/large"), ("seqread", "{l}/large")
    write = ("seqwrite", "{m}/new", str(scale.large))
    jump = ("random", "{m}/large", str(scale.random))
    return [
        Row(
            "seqread", f"sequential read {large}, cold", lowers, read, (), steady, bare="lower",
            goals=_goals(root=(1.05, 0.27), user=(3.3, 0.8)),
        ),
        Row(
            "seqwrite", f"sequential write {large}", lowers, write, (), steady, bare="upper",
            goals=_goals(root=(1.0, 0.2), user=(2.0, 0.44)),
        ),
        Row(
            "random", f"random 4 KiB reads, {scale.random:,}", lowers, jump, (), steady, bare="lower",
            goals=_goals(root=(0.8, 0.2), user=(3.0, 0.75)),
        ),
    ]  # fmt: skip


def _programs() -> list[Row]:
    def lowers(_: Bed) -> Sequence[Path]:
        return (fixtures.python(),)

    run = ("run", "{m}/bin/python3", "-I", "-B", "-c", f"import {IMPORTS}")
    lower = ("run", "{l}/bin/python3", *run[2:])
    cold = _goals(root=(1.05, 0.5), user=(1.1, 0.5))
    return [
        Row("python-cold", "run a Python program, cold", lowers, run, (), lower, bare="lower", goals=cold),
        Row(
            "python-warm", "run a Python program, warm", lowers, run, (run,), lower, bare="lower",
            goals=_both(1.0, 0.65),
        ),
    ]  # fmt: skip


def _layers(scale: Scale) -> list[Row]:
    def over(count: int) -> Callable[[Bed], Sequence[Path]]:
        return lambda bed: _short(bed, fixtures.layers(count, scale.files))

    def row(count: int, goal: Goal) -> Row:
        title = f"{scale.files:,} lookups, {count} layer{'s' if count > 1 else ''}"
        work = ("each", "lookup", "{m}/d", str(scale.files))
        return Row(f"lookup-{count}", title, over(count), work, goals=_both(*goal))

    return [row(1, (1.8, 0.6)), row(32, (0.5, 0.15)), row(128, (0.5, 0.15))]


def _short(bed: Bed, paths: Sequence[Path]) -> Sequence[Path]:
    """Return the paths through a link with a short name: the kernel takes one page of options."""
    link = bed.top / str(len(paths))
    if not link.is_symlink():
        link.symlink_to(paths[0].parent)
    return [link / path.name for path in paths]


def _mounts() -> list[Row]:
    def lowers(_: Bed) -> Sequence[Path]:
        return (fixtures.debian(),)

    return [
        Row("start", "mount start-up", lowers, value="start", limit=20.0),
        Row("memory", "resident memory, idle", lowers, value="memory", limit=12.0),
    ]
