"""Mount once for many cases.

Theory.  A cell is target/placement/theme/case.  All cases of one scene (target, placement,
theme) share a mount: each has a directory of its own name on every layer.  The stage keeps
one scene mounted and strikes it when another is asked for, or when the test plan says that
no more cells of it follow, so that trouble at unmounting falls on the scene that made it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.conformance.case import LOWERS, PLACEMENTS, Case, Union, UnionCase, below
from tests.conformance.registry import POSIX, UNIONS, run_posix, run_union
from tests.erofs.images import image_of
from tests.support import accounts, loopfs
from tests.support.dump import FIELDS, assert_same, dump
from tests.support.realms import KINDS, Realm, realm
from tests.support.targets import TARGETS, Mounted, mounted
from tests.support.tree import Entry, Layers, build, merged, tree

BUILD_SECONDS = 60
# Targets that run every placement; the others run content on lowers, where the copy-ups are.
THOROUGH = ("native", "kernel-overlay", "lamina-native", "fuse-overlayfs")
FILE_SYSTEMS = ("ext4", "xfs", "btrfs")  # besides the tmpfs of the session
IMAGES = "erofs"  # the lowers are images
ON_IMAGES = ("lamina-native",)
# mkfs.erofs 1.5 takes no name of 255 bytes and writes holes as zeros.
NOT_IN_IMAGES = ("name_of_255_", "name_of_256_", "holes_")
ON_ALL_FILE_SYSTEMS = ("native", "kernel-overlay", "lamina-native")


@dataclass(frozen=True, slots=True, order=True)
class Scene:
    """What is mounted together; 'placement' may say @FILESYSTEM."""

    target: str
    placement: str
    theme: str

    @property
    def cases(self) -> dict[str, Case | UnionCase]:
        """The cases of the theme that this scene can run."""
        kind, have = TARGETS[self.target].kind, abilities(self.target)
        place, _, on_fs = self.placement.partition("@")
        if on_fs and on_fs != IMAGES:
            have |= {"disk"}
        table: dict[str, Case | UnionCase] = {}
        table.update(POSIX[self.theme] if self.theme in POSIX else UNIONS[self.theme])
        return {
            name: case
            for name, case in table.items()
            if case.needs <= have | {f"kind:{kind}"}
            and place in case.placements
            and (on_fs in ("", IMAGES) or case.everywhere)
            and not (on_fs == IMAGES and name.startswith(NOT_IN_IMAGES))
        }


def abilities(target: str) -> frozenset[str]:
    """Return what the processes on a target may do."""
    slow = target in ("lamina-forward", "lamina-io-uring-forward", "lamina-pyfuse3")  # 0.2 ms a request
    return KINDS[TARGETS[target].realm].abilities | (frozenset() if slow else {"fast"})


def scenes(target: str, *, unions: bool) -> Iterator[Scene]:
    """Yield the scenes of a target in the order of the table."""
    themes = UNIONS if unions else POSIX
    native = TARGETS[target].kind == "native"
    places = (
        ("layers",)
        if unions
        else ("mixed", "upper-only", "all-lower")
        if target in THOROUGH
        else PLACEMENTS[1:]
    )
    if unions and native:
        return
    if native:
        places = ("mixed",)
    file_systems = FILE_SYSTEMS if target in ON_ALL_FILE_SYSTEMS else ()
    further = [f"{places[0]}@{name}" for name in file_systems]
    if target in ON_IMAGES:
        further += [f"{place}@{IMAGES}" for place in places if place != "upper-only"]
    for place in [*places, *further]:
        for theme in themes:
            scene = Scene(target, place, theme)
            if scene.cases:
                yield scene


class Stage:
    """The one scene that is mounted, in realms that last for the session."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._session = contextlib.ExitStack()
        self._realms: dict[str, Realm] = {}
        self._file_systems: dict[str, Path] = {}
        self._scene: Scene | None = None
        self._undo = contextlib.ExitStack()
        self._mounted: Mounted | None = None
        self._before: dict[Path, str] = {}  # dumps of the lowers
        self._count = 0

    def close(self) -> None:
        """Strike the scene and end the realms."""
        with self._session:
            self.strike()

    def realm(self, name: str) -> Realm:
        """Return the session's realm of that kind."""
        if name not in self._realms:
            self._realms[name] = self._session.enter_context(realm(name, self._top / name))
        return self._realms[name]

    def _workspace(self, scene: Scene, home: Realm) -> Path:
        self._count += 1
        name = f"{self._count:03d}"
        on_fs = scene.placement.partition("@")[2]
        if on_fs in ("", IMAGES):
            return home.directory(name)
        if on_fs not in self._file_systems:
            at = self._top / f"fs-{on_fs}"
            self._file_systems[on_fs] = self._session.enter_context(loopfs.filesystem(on_fs, at))
        path = self._file_systems[on_fs] / name
        path.mkdir()
        if home.kind.name != "root":
            os.chown(path, *accounts.ids())
        return path

    def strike(self) -> None:
        """Unmount the scene, if any, and make sure that its lowers are what they were."""
        before, self._before = self._before, {}
        last, self._mounted = self._mounted, None
        self._scene = None
        undo, self._undo = self._undo, contextlib.ExitStack()
        undo.close()
        if last is not None:
            for path, text in before.items():
                assert_same(last.realm.agent.call(dump, path, fields=FIELDS), text)

    def enter(self, scene: Scene) -> Mounted:
        """Mount the scene unless it is mounted already."""
        if self._scene != scene:
            self.strike()
            target = TARGETS[scene.target]
            home = self.realm(target.realm)
            top = self._workspace(scene, home)
            native = target.kind == "native"
            layers = home.agent.call_within(BUILD_SECONDS, raise_scene, scene, top, home.kind.dialect, native)
            before = {path: home.agent.call(dump, path, fields=FIELDS) for path in layers.lowers}
            shown = imaged(layers) if scene.placement.endswith(f"@{IMAGES}") else layers
            mount = self._undo.enter_context(mounted(target, shown, top / "merged", home))
            self._mounted = replace(mount, layers=layers)
            self._scene, self._before = scene, before
        assert self._mounted is not None
        return self._mounted

    def run(self, scene: Scene, name: str) -> None:
        """Run one case in its scene."""
        stage = self.enter(scene)
        agent = stage.realm.agent
        if scene.theme in POSIX:
            agent.call(run_posix, scene.theme, name, stage.path / name)
            return
        layers = stage.layers
        union = Union(
            stage.path / name,
            tuple(lower / name for lower in layers.lowers),
            layers.upper / name,
            stage.realm.kind.dialect,
        )
        agent.call(run_union, scene.theme, name, union)


def imaged(layers: Layers) -> Layers:
    """Return the same union with an image in the place of each lower."""
    images = [image_of(lower, lower.with_suffix(".erofs")).path for lower in layers.lowers]
    return replace(layers, lowers=tuple(images))


def raise_scene(scene: Scene, top: Path, dialect: str, native: bool) -> Layers:
    """Write the layers of all cases of a scene; on a native target, what they show."""
    lowers: list[dict[bytes, Entry]] = [{} for _ in range(LOWERS)]
    upper: dict[bytes, Entry] = {}
    place = scene.placement.partition("@")[0]
    for name, case in scene.cases.items():
        stack = case.stack(place)
        for number, spec in enumerate(stack.lowers):
            lowers[number] |= below(name, spec)
        if stack.upper or not stack.lowers:
            upper |= below(name, stack.upper)
    (top / "merged").mkdir()
    if native:
        build(top / "merged", merged([upper, *lowers]))
        return Layers(())
    return tree(top, lower=lowers, upper=upper, prefix=dialect)
