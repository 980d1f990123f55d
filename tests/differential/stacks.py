"""Random layer stacks: data that can be printed, cut down and built again.

A stack is a list of layers, bottom first.  A layer is either `("raw", entries)`, made directly
on disk, whiteouts and opaque directories included, or `("recorded", operations)`: kernel
overlayfs, mounted over the layers below, wrote it, so that it carries redirects, metacopies,
origins and impure marks that no test would think of.

Kernel overlayfs expects whiteouts only where directories merge; raw layers keep to that.
"""

import contextlib
import os
import random
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.differential import acl, deviations, vocabulary
from tests.differential.drivers import DRIVERS, Flavour, Layout
from tests.differential.generate import Generator
from tests.differential.objects import pattern
from tests.differential.operations import Op, Tree, perform

Entry = tuple[str, str, dict[str, Any]]
Layer = tuple[str, list[Any]]
Stack = list[Layer]

RAW_OBJECTS = (4, 40)
RECORDED_STEPS = (5, 60)
RECORDED_SHARE = 0.4


# ---- building ----


def build(stack: Stack, base: Path, flavour: Flavour) -> tuple[Path, ...]:
    """Make all layers below `base`; returns their directories, topmost first."""
    lowers: tuple[Path, ...] = ()
    for number, layer in enumerate(stack):
        lowers = (_build_layer(layer, base / f"L{number}", lowers, flavour), *lowers)
    return lowers


def _build_layer(layer: Layer, at: Path, lowers: tuple[Path, ...], flavour: Flavour) -> Path:
    kind, items = layer
    at.mkdir()
    if kind == "recorded" and lowers:
        with recording(at, lowers, flavour) as tree:
            for op in items:
                perform(tree, op)
    elif kind == "raw":
        for entry in items:
            with contextlib.suppress(FileExistsError, NotADirectoryError, FileNotFoundError):
                _make(at, entry, flavour)
        for path, fields in ((p, f) for _, p, f in items if "mtime" in f):
            with contextlib.suppress(OSError):
                os.utime(at / path, ns=(fields["mtime"], fields["mtime"]), follow_symlinks=False)
    return at


@contextlib.contextmanager
def recording(at: Path, lowers: tuple[Path, ...], flavour: Flavour) -> Iterator[Tree]:
    """Mount kernel overlayfs with `at` as upper; what is done inside becomes that layer."""
    work, merged = at.with_name(f"{at.name}.work"), at.with_name(f"{at.name}.merged")
    work.mkdir()
    merged.mkdir()
    mount = DRIVERS["kernel"].mount(Layout(lowers, at, work, merged), flavour)
    tree = Tree(str(merged))
    try:
        yield tree
    finally:
        tree.drop_all()
        mount.unmount()
    shutil.rmtree(work)
    merged.rmdir()


def _make(top: Path, entry: Entry, flavour: Flavour) -> None:
    kind, relative, fields = entry
    path = f"{top}/{relative}"
    match kind:
        case "dir":
            os.mkdir(path)
            if "opaque" in fields:
                os.setxattr(path, f"{flavour.prefix}opaque", b"y")
        case "file":
            _make_file(path, fields)
        case "symlink":
            os.symlink(fields["target"], path)
        case "node":
            os.mknod(path, fields["kind"], os.makedev(*fields["device"]))
        case "link":
            os.link(f"{top}/{fields['to']}", path)
            return
        case "whiteout":
            os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
            return
    _dress(path, fields)


def _make_file(path: str, fields: dict[str, Any]) -> None:
    with open(path, "xb") as file:
        file.write(pattern(fields["seed"], fields["size"]))
        if "hole" in fields:  # a hole, and data behind it
            file.seek(fields["hole"], os.SEEK_CUR)
            file.write(b"end")


def _dress(path: str, fields: dict[str, Any]) -> None:
    os.lchown(path, *fields["owner"])
    if os.path.islink(path):
        return
    for name, value in fields.get("xattrs", ()):
        with contextlib.suppress(OSError):  # user.* is for files and directories only
            os.setxattr(path, name, value)
    os.chmod(path, fields["mode"])
    for name, value in fields.get("acls", ()):
        os.setxattr(path, name, value)


# ---- drawing ----


def draw(rng: random.Random, base: Path, flavour: Flavour, count: int) -> tuple[Stack, tuple[Path, ...]]:
    """Draw a stack of `count` layers and build it at once (recorded layers need the ones below)."""
    stack: Stack = []
    lowers: tuple[Path, ...] = ()
    seen: dict[str, str] = {"": "dir"}
    for number in range(count):
        at = base / f"L{number}"
        if lowers and rng.random() < RECORDED_SHARE:
            at.mkdir()
            with recording(at, lowers, flavour) as tree:
                ops, seen = _record(rng, tree, flavour)
            stack.append(("recorded", ops))
        else:
            entries = _draw_raw(rng, seen)
            stack.append(("raw", entries))
            _build_layer(stack[-1], at, lowers, flavour)
        lowers = (at, *lowers)
    return stack, lowers


def _record(rng: random.Random, tree: Tree, flavour: Flavour) -> tuple[list[Op], dict[str, str]]:
    generator = Generator(rng, private_prefix=flavour.prefix)
    generator.observe(tree.root)
    ops = []
    for _ in range(rng.randint(*RECORDED_STEPS)):
        op = generator.next()
        if not deviations.avoided(op, flavour.name, tree.root):
            ops.append(op)
            generator.learn(op, perform(tree, op))
    tree.drop_all()
    generator.observe(tree.root)
    return ops, generator.types


def _draw_raw(rng: random.Random, seen: dict[str, str]) -> list[Entry]:
    """Draw one layer's entries, and bring `seen` (the merged view so far) up to date."""
    entries: list[Entry] = []
    merging = {""}  # directories of this layer that merge with one below
    kinds = {"": "dir"}
    files: list[str] = []
    for _ in range(rng.randint(*RAW_OBJECTS)):
        parent = rng.choice(
            [p for p, k in kinds.items() if k == "dir" and p.count("/") < vocabulary.MAX_DEPTH - 2]
        )
        path = f"{parent}/{vocabulary.name(rng)}" if parent else vocabulary.name(rng)
        if path in kinds:
            continue
        kind = rng.choices(
            ("dir", "file", "symlink", "node", "link", "whiteout"),
            (8, 9, 2, 1, 2, 3 if parent in merging else 0),
        )[0]
        if kind == "link" and not files:
            kind = "file"
        fields = _fields(rng, kind, path, files)
        if kind == "dir" and seen.get(path) == "dir" and parent in merging:
            if rng.random() < 0.15:
                fields["opaque"] = True
            else:
                merging.add(path)
        kinds[path] = kind
        if kind == "file":
            files.append(path)
        entries.append((kind, path, fields))
    _overlay(seen, kinds, merging)
    return entries


def _overlay(seen: dict[str, str], kinds: dict[str, str], merging: set[str]) -> None:
    for path, kind in kinds.items():
        if path in merging:
            continue
        for below in [p for p in seen if p == path or p.startswith(path + "/")]:
            del seen[below]
        if kind != "whiteout":
            seen[path] = kind
    seen.update({path: kind for path, kind in kinds.items() if kind != "whiteout"})


def _fields(rng: random.Random, kind: str, path: str, files: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if kind == "whiteout":
        return fields
    if kind == "link":
        return {"to": rng.choice(files)}
    fields["owner"] = (rng.choice(vocabulary.OWNERS), rng.choice(vocabulary.OWNERS))
    fields["mode"] = rng.choice(vocabulary.DIRECTORY_MODES if kind == "dir" else vocabulary.MODES)
    fields["mtime"] = vocabulary.time(rng)
    match kind:
        case "symlink":
            fields["target"] = vocabulary.symlink_target(rng, path.count("/") + 1)
        case "node":
            node, device = rng.choice(
                ((stat.S_IFIFO, (0, 0)), (stat.S_IFCHR, (1, 3)), (stat.S_IFSOCK, (0, 0)))
            )
            fields |= {"kind": node, "device": device}
        case "file":
            fields |= {"seed": rng.randrange(1, 10_000), "size": vocabulary.size(rng)}
            if rng.random() < 0.1:
                fields["hole"] = 65_536
    if kind in ("dir", "file"):
        fields["xattrs"] = [vocabulary.xattr(rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        if rng.random() < 0.1:
            kinds = (acl.ACCESS, acl.DEFAULT) if kind == "dir" else (acl.ACCESS,)
            fields["acls"] = [(name, vocabulary.acl_value(rng)) for name in kinds]
    return fields
