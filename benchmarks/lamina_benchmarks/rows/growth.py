"""Rows of the same work with more layers, files, names in a directory, and clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lamina_benchmarks import fixtures
from lamina_benchmarks.bed import Bed
from lamina_benchmarks.rows.files import nothing
from lamina_benchmarks.rows.row import Lowers, Row, Scale, both

LAYER_GOALS = {1: (1.8, 0.6), 32: (0.5, 0.15), 128: (0.5, 0.15)}
PARTS = 4
MANY = 1_000_000
LARGE_DIRECTORY = 100_000


def table(scale: Scale) -> list[Row]:
    """Return the rows."""
    return [*_layers(scale), *_trees(scale), *_directories(scale), *_clients(scale)]


def _layers(scale: Scale) -> list[Row]:
    def over(count: int) -> Lowers:
        return lambda _: fixtures.layers(count, scale.files)

    def row(count: int) -> Row:
        title = f"{scale.files:,} lookups, {_plural(count, 'layer')}"
        goals = both(*LAYER_GOALS[count]) if count in LAYER_GOALS else {}
        return Row(
            f"lookup-{count}", title, "layers", over(count), ("each", "lookup", "{m}/d", str(scale.files)),
            operations=scale.files, goals=goals, series="layers", x=count,
        )  # fmt: skip

    return [row(count) for count in scale.layers]


def _trees(scale: Scale) -> list[Row]:
    def of(count: int) -> Lowers:
        return lambda _: (fixtures.many(count),)

    return [
        Row(
            f"walk-{count}", f"walk {count:,} files, cold", "files", of(count), ("walk", "{m}"), (),
            ("walk", "{l}"), bare="lower", operations=count, series="files", x=count, once=count >= MANY,
        )
        for count in scale.trees
    ]  # fmt: skip


def _directories(scale: Scale) -> list[Row]:
    def full(_: Bed) -> Sequence[Path]:
        return (fixtures.files(scale.names, 0),)

    count, steady = f"{scale.names:,}", ("walk", "{l}")
    return [
        Row(
            "dir-create", f"create {count} in one directory", "directories", nothing,
            ("create", "{m}", str(scale.names), "0"), bare="upper", operations=scale.names,
            once=scale.names >= LARGE_DIRECTORY,  # fuse-overlayfs's time grows with the square
        ),
        Row(
            "dir-list", f"list {count} names", "directories", full, ("list", "{m}/d"), (), steady,
            operations=scale.names,
        ),
        Row(
            "dir-lookup", f"look up {count} names", "directories", full,
            ("each", "lookup", "{m}/d", str(scale.names)), (), steady, operations=scale.names,
        ),
    ]  # fmt: skip


def _clients(scale: Scale) -> list[Row]:
    each = scale.shared // PARTS

    def parts(count: int, size: int) -> Lowers:
        return lambda _: (fixtures.parts(PARTS, count, size),)

    def reading(clients: int) -> Row:
        work = ("parallel", str(clients), "read", "{m}/p", str(PARTS))
        return Row(
            f"read-{clients}", f"read {scale.shared:,} files, {_plural(clients, 'client')}", "clients",
            parts(each, 4096), work, (), ("read", "{l}"), operations=scale.shared,
            series="clients reading", x=clients,
        )  # fmt: skip

    def creating(clients: int) -> Row:
        work = ("parallel", str(clients), "create", "{m}/p", str(PARTS), str(each), "1024")
        return Row(
            f"create-{clients}", f"create {scale.shared:,} files, {_plural(clients, 'client')}", "clients",
            parts(0, 0), work, operations=scale.shared, series="clients creating", x=clients,
        )  # fmt: skip

    return [*map(reading, scale.clients), *map(creating, scale.clients)]


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count > 1 else ''}"
