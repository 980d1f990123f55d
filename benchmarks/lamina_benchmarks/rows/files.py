"""Rows of one kind of call each: trees, names, copy-up, data, and the mount itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lamina_benchmarks import cache, fixtures
from lamina_benchmarks.bed import Bed
from lamina_benchmarks.rows.row import Goal, Lowers, Row, Scale, Words, apart, both

UNTAR = ("run", "tar", "--exclude=./dev/*", "-xf", "{archive}", "-C", "{m}")
SYSTEM_IDS = 1000  # owners of a Debian's files


def table(scale: Scale) -> list[Row]:
    """Return the rows."""
    return [*_trees(scale), *_names(scale), *_removals(scale), *_copyups(scale), *_data(scale), *_mounts()]


def debian(_: Bed) -> Sequence[Path]:
    """Return the small Debian as the only lower."""
    return (fixtures.debian(),)


def nothing(_: Bed) -> Sequence[Path]:
    """Return a lower with next to nothing in it."""
    return (fixtures.files(1, 4096),)


def _small(scale: Scale) -> Lowers:
    return lambda _: (fixtures.files(scale.files, 4096),)


def _tree(scale: Scale) -> Lowers:
    return lambda _: (fixtures.tree(scale.tree),)


def _trees(scale: Scale) -> list[Row]:
    walk, read = ("walk", "{m}"), ("read", "{m}")
    lowers = _tree(scale)

    def row(name: str, title: str, work: Words, before: tuple[Words, ...], goals: dict[str, Goal]) -> Row:
        steady = ("read", "{l}")
        return Row(name, title, "trees", lowers, work, before, steady, bare="lower", goals=goals)

    return [
        row("walk-cold", "walk + lstat, cold", walk, (), both(1.3, 0.4)),
        row("walk-warm", "walk + lstat, warm", walk, (walk, walk), both(0.85, 0.65)),
        row("read-cold", "read every file, cold", read, (), apart(root=(1.5, 0.4), user=(2.5, 0.65))),
        # Reading makes the kernel forget atime: the next pass asks once more.
        row("read-warm", "read every file, warm", read, (read, read), both(1.1, 0.6)),
    ]


def _names(scale: Scale) -> list[Row]:
    create = ("create", "{m}", str(scale.created), "1024")
    unlink = ("each", "unlink", "{m}", str(scale.created))
    what, small = f"{scale.created:,} x 1 KiB", _small(scale)
    return [
        Row(
            "create", f"create {what}", "names", small, create, bare="upper", operations=scale.created,
            goals=apart(root=(2.0, 0.2), user=(2.2, 0.22)),
        ),
        Row(
            "unlink", f"unlink {what}", "names", small, unlink, (create,), bare="upper",
            operations=scale.created, goals=apart(root=(1.3, 0.1), user=(1.6, 0.12)),
        ),
    ]  # fmt: skip


def _removals(scale: Scale) -> list[Row]:
    remove = ("run", "rm", "-rf", "{m}/usr")

    def places() -> dict[str, str]:
        fixtures.tree(scale.tree)
        return {"archive": str(fixtures.tree_archive(scale.tree))}

    what = f"{scale.tree:,} files of a Debian" if scale.tree else "a Debian"

    return [
        Row(
            "untar", f"untar {what}", "names", nothing, UNTAR, bare="upper", places=places,
            ids=SYSTEM_IDS, goals=apart(root=(1.5, 0.4), user=(2.0, 0.5)),
        ),
        Row("rm-lower", "rm -rf of a lower's /usr", "names", _tree(scale), remove, (), ("walk", "{l}")),
        Row(
            "rm-upper", "rm -rf of an upper's /usr", "names", nothing, remove, (UNTAR,), bare="upper",
            places=places, ids=SYSTEM_IDS, quick=False,
        ),
    ]  # fmt: skip


def _copyups(scale: Scale) -> list[Row]:
    def meta(_: Bed) -> Sequence[Path]:
        return (fixtures.files(scale.files, scale.meta_size),)

    def on(kind: str) -> Lowers:
        return lambda bed: (fixtures.large(bed.image(kind) / "lower", scale.large),)

    def each(verb: str) -> Words:
        return ("each", verb, "{m}/d", str(scale.files))

    def whole(name: str, kind: str, title: str, goals: dict[str, Goal], *, volatile: bool = False) -> Row:
        change, steady = ("change", "{m}/large"), ("seqread", "{l}/large")
        return Row(
            name, title, "copy-up", on(kind), change, (), steady, kind, operations=1, goals=goals,
            volatile=volatile,
        )  # fmt: skip

    count, size, large = scale.files, scale.meta_size >> 10, f"{scale.large >> 20} MiB"
    return [
        Row(
            "copyup-small", f"copy up {count:,} x 4 KiB", "copy-up", _small(scale), each("change"), (),
            ("read", "{l}"), operations=count, goals=both(1.0, 0.45),
        ),
        Row(
            "chmod", f"chmod {count:,} x {size} KiB", "copy-up", meta, each("chmod"),
            operations=count, goals=both(0.8, 0.3),
        ),
        Row(
            "chown", f"chown {count:,} x {size} KiB", "copy-up", meta, each("chown"),
            operations=count, goals=both(0.8, 0.3), ids=SYSTEM_IDS + 1,
        ),
        whole("copyup-ext4", "ext4", f"copy up {large}, ext4", both(0.7, 1.0)),
        whole(
            "copyup-volatile", "ext4", f"copy up {large}, ext4, volatile", both(0.7, 1.0), volatile=True,
        ),
        whole("copyup-reflink", "xfs", f"copy up {large}, xfs reflink", both(2.0, 0.5)),
    ]  # fmt: skip


def _data(scale: Scale) -> list[Row]:
    def lowers(_: Bed) -> Sequence[Path]:
        return (fixtures.large(cache.directory() / f"large-{scale.large}", scale.large),)

    size, steady = f"{scale.large >> 20} MiB", ("seqread", "{l}/large")
    write = ("seqwrite", "{m}/new", str(scale.large))
    jump = ("random", "{m}/large", str(scale.random))
    return [
        Row(
            "seqread", f"sequential read {size}, cold", "data", lowers, ("seqread", "{m}/large"), (),
            steady, bare="lower", goals=apart(root=(1.05, 0.27), user=(3.3, 0.8)),
        ),
        Row(
            "seqwrite", f"sequential write {size}", "data", lowers, write, (), steady, bare="upper",
            goals=apart(root=(1.0, 0.2), user=(2.0, 0.44)),
        ),
        Row(
            "random", f"random 4 KiB reads, {scale.random:,}", "data", lowers, jump, (), steady,
            bare="lower", operations=scale.random, goals=apart(root=(0.8, 0.2), user=(3.0, 0.75)),
        ),
    ]  # fmt: skip


def _mounts() -> list[Row]:
    return [
        Row("start", "mount start-up", "mount", debian, value="start", limit=20.0),
        Row("memory", "resident memory, idle", "mount", debian, value="memory", limit=12.0),
    ]
