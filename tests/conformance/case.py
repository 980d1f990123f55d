"""Cases, tables of them, and where their content is placed.

Theory.  A case is a function of a directory in a mounted union.  What it needs to find there
is written beside it in the tree language, not made by it: so the same case runs with the
content on the upper, on a lower, or mixed over three layers with old versions and whited-out
ghosts below.  On the native directory the content is just there; a case that fails there is
wrong.  A union case also sees the layers, and says itself what lies on which.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.tree import LINK, Entry, Spec, directory, normal, whiteout

PLACEMENTS = ("upper-only", "all-lower", "mixed")
LOWERS = 3  # layers below each upper
GHOST = b"ghost"


@dataclass(frozen=True, slots=True)
class Union:
    """What a union case gets: the merged directory and its parts, topmost lower first."""

    top: Path
    lowers: tuple[Path, ...]
    upper: Path
    dialect: str


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers of one case, as specs."""

    lowers: tuple[Spec, ...]
    upper: Spec


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the conformance table."""

    name: str
    run: Callable[[Path], None]
    content: Spec
    needs: frozenset[str]
    everywhere: bool  # also with the layers on other file systems

    @property
    def placements(self) -> tuple[str, ...]:
        """Where its content may lie; with no content there is nothing to place."""
        return PLACEMENTS if self.content else ("mixed",)

    def stack(self, placement: str) -> Stack:
        """Return the layers for a placement."""
        return place(self.content, placement)


@dataclass(frozen=True, slots=True)
class UnionCase:
    """One row of the union table, which has no native column."""

    name: str
    run: Callable[[Union], None]
    layers: Stack
    needs: frozenset[str]
    everywhere: bool

    placements = ("layers",)

    def stack(self, placement: str) -> Stack:
        """Return the layers as the case gives them."""
        assert placement == "layers"
        return self.layers


class Table(dict[str, Case]):
    """The cases of one theme by name."""

    def case(
        self, content: Spec | None = None, *, needs: Sequence[str] = (), everywhere: bool = False
    ) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
        """Enter a function of the case's directory."""

        def enter(run: Callable[[Path], None]) -> Callable[[Path], None]:
            name = run.__name__
            assert name not in self, name
            self[name] = Case(name, run, content or {}, frozenset(needs), everywhere)
            return run

        return enter


class UnionTable(dict[str, UnionCase]):
    """The union cases of one theme by name."""

    def case(
        self, lower: Sequence[Spec] = (), *, upper: Spec | None = None, needs: Sequence[str] = (),
        everywhere: bool = False,
    ) -> Callable[[Callable[[Union], None]], Callable[[Union], None]]:  # fmt: skip
        """Enter a function of a Union."""

        def enter(run: Callable[[Union], None]) -> Callable[[Union], None]:
            name = run.__name__
            assert name not in self, name
            assert len(lower) <= LOWERS
            self[name] = UnionCase(name, run, Stack(tuple(lower), upper or {}), frozenset(needs), everywhere)
            return run

        return enter


def place(content: Spec, placement: str) -> Stack:
    """Distribute content over the layers."""
    match placement:
        case "upper-only":
            return Stack((), content)
        case "all-lower":
            return Stack((content,), {})
        case "mixed":
            return _mix(normal(content))
    raise ValueError(placement)


def _mix(content: dict[bytes, Entry]) -> Stack:
    """Put directories on every layer, files in turn on one, an old version below where there is room."""
    layers: tuple[dict[bytes, Entry], ...] = ({}, {}, {})  # upper, lower 0, lower 1
    home: dict[bytes, int] = {}
    turn = 0
    for name, entry in content.items():
        if entry.kind == stat.S_IFDIR:
            for layer in layers:
                layer[name] = entry
            continue
        if entry.kind == LINK:
            index = home[entry.target]
        else:
            index = turn % len(layers)
            turn += 1
        home[name] = index
        layers[index][name] = entry
        if index == 0 and entry.kind == stat.S_IFREG:
            layers[2][name] = replace(entry, content=b"an old version\n", size=None, extents=(), xattrs={})
    for parent in [b"", *(name + b"/" for name, entry in content.items() if entry.kind == stat.S_IFDIR)]:
        layers[0][parent + GHOST] = whiteout()
        layers[2][parent + GHOST] = replace(directory(), kind=stat.S_IFREG, mode=0o644)
    return Stack((layers[1], layers[2]), layers[0])


def below(prefix: str, spec: Spec) -> dict[bytes, Entry]:
    """Move a spec into a directory of its own."""
    start = prefix.encode() + b"/"
    moved = {prefix.encode(): directory()}
    for name, entry in normal(spec).items():
        target = start + entry.target if entry.kind == LINK else entry.target
        moved[start + name] = replace(entry, target=target)
    return moved
