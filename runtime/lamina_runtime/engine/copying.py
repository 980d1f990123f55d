"""`lamina cp` and `lamina export CONTAINER`: files between a container and the host, by docker's rules.

Theory.  Whatever is done in the container is done by a process that has entered its tree
(container.inside); what passes between it and us is a tar.  Of a container that does not run the
tree is mounted for that process alone.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from lamina_runtime.container import bundle, copying, plan
from lamina_runtime.container.records import Op, Record
from lamina_runtime.engine import containers, footing, inside
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.value import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.container.state import Container
    from lamina_runtime.engine.context import Engine

PIECE = 1 << 20


class Wish(NamedTuple):
    """cp's flags."""

    archive: bool = False
    follow: bool = False


class Side(NamedTuple):
    """A container and a path in it."""

    container: Container
    path: str


def split(engine: Engine, word: str) -> Side | None:
    """Read CONTAINER:PATH; None for a path of the host."""
    name, colon, path = word.partition(":")
    if not colon or word.startswith(("/", ".", "-")) or "/" in name:
        return None
    return Side(containers.containers(engine).find(name), "/" + path.lstrip("/"))


def copy(engine: Engine, source: str, target: str, wish: Wish, *, out: IO[bytes], given: IO[bytes]) -> None:
    """Copy one way or the other."""
    here, there = split(engine, source), split(engine, target)
    if here and there:
        raise UsageError("copying between containers is not supported")
    if here:
        _out(engine, here, target, wish, out)
    elif there:
        _in(engine, source, there, wish, given)
    else:
        raise UsageError("must specify at least one container source")


def export(engine: Engine, container: Container, out: IO[bytes]) -> None:
    """Write a container's whole tree as a tar."""
    task = {"operation": "send", "path": "/", "name": "", "export": True}
    _pass_on(engine, container, task, out)


def _out(engine: Engine, side: Side, target: str, wish: Wish, out: IO[bytes]) -> None:
    contents = side.path.endswith("/.")
    path = os.path.normpath(side.path)
    found = _look(engine, side.container, path, follow=wish.follow or contents or side.path.endswith("/"))
    if found["mode"] is None:
        raise NotFoundError(f"Could not find the file {path} in container {side.container.record.name}")
    directory = stat.S_ISDIR(found["mode"])
    task = {"operation": "send", "path": found["path"], "name": os.path.basename(path)}
    if target == "-":
        _pass_on(engine, side.container, task, out)
        return
    place, task["name"] = _place(target, task["name"], directory=directory, contents=contents)
    with tempfile.TemporaryFile() as tar:
        _pass_on(engine, side.container, task, tar)
        tar.seek(0)
        copying.unpack(tar, place, owners=wish.archive and os.geteuid() == 0)


def _place(target: str, name: str, *, directory: bool, contents: bool) -> tuple[str, str]:
    """Return the host's directory to unpack in and the name to have there, "" for the contents alone."""
    if os.path.isdir(target):
        return target, "" if contents and directory else name
    if os.path.lexists(target) and directory:
        raise LaminaError(f"cannot copy a directory to the file {target}")
    if target.endswith("/") and not directory:
        raise LaminaError(f"no such directory: {target}")
    parent, base = os.path.split(target.rstrip("/"))
    if not os.path.isdir(parent or "."):
        raise NotFoundError(f"no such directory: {parent}")
    return parent or ".", base


def _in(engine: Engine, source: str, side: Side, wish: Wish, given: IO[bytes]) -> None:
    container = side.container
    found = _look(engine, container, os.path.normpath(side.path), follow=True)
    into = found["mode"] is not None and stat.S_ISDIR(found["mode"])
    task: dict[str, Any] = {"operation": "receive", "owners": wish.archive}
    if source == "-":
        if not into:
            raise LaminaError(f"destination {side.path} must be a directory to take a tar")
        _feed(engine, container, {**task, "path": found["path"], "owners": True}, given)
        return
    path = copying.resolved(source) if wish.follow or source.endswith("/") else source.rstrip("/") or "/"
    contents = source.endswith("/.")
    path = os.path.normpath(path)
    try:
        directory = stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        raise NotFoundError(f"{source}: no such file or directory") from None
    if into:
        place, name = found["path"], "" if contents and directory else os.path.basename(os.path.abspath(path))
    else:
        if found["mode"] is not None and directory:
            raise LaminaError(f"cannot copy a directory to the file {side.path}")
        if side.path.endswith("/") and not directory:
            raise LaminaError(f"no such directory in the container: {side.path}")
        place, name = os.path.split(found["path"])
        above = _look(engine, container, place, follow=True)
        if above["mode"] is None or not stat.S_ISDIR(above["mode"]):
            raise NotFoundError(f"Could not find the directory {place} in container {container.record.name}")
    with tempfile.TemporaryFile() as tar:
        copying.pack(path, tar.write, name)
        tar.seek(0)
        _feed(engine, container, {**task, "path": place}, tar)


def _look(engine: Engine, container: Container, path: str, *, follow: bool) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out:
        _pass_on(engine, container, {"operation": "look", "path": path, "follow": follow}, out)
        out.seek(0)
        found: dict[str, Any] = json.loads(out.read())
    return found


def _pass_on(engine: Engine, container: Container, task: dict[str, Any], out: IO[bytes]) -> None:
    _work(engine, container, task, out, -1)


def _feed(engine: Engine, container: Container, task: dict[str, Any], tar: IO[bytes]) -> None:
    with tempfile.TemporaryFile() as nothing:
        _work(engine, container, task, nothing, tar.fileno())


def _work(engine: Engine, container: Container, task: dict[str, Any], out: IO[bytes], stdin: int) -> None:
    pid = container.status().pid
    if pid:
        task = {**task, "root": f"/proc/{pid}/root"}
        with inside.started(task, engine.ids, stdin=stdin, join=pid) as tar:
            _drain(tar, out)
        return
    with container.turn():
        image = engine.store.images.get(container.record.image)
        standing = footing.first(engine, container)
        footing.prepare(engine, container, image, standing)
        task = {**task, "root": str(footing.root(container, standing))}
        tree = list(footing.tree(engine, container, image, standing))
        if not task.get("export"):
            tree += _mounts(engine, container, task["root"])
        with inside.started(task, standing.ids, tree=tree, stdin=stdin) as tar:
            _drain(tar, out)


def _mounts(engine: Engine, container: Container, root: str) -> Iterator[Record]:
    """Yield what mounts volumes and directories of the host in a container's tree."""
    wishes = container.record.wishes
    kept = replace(wishes, mounts=tuple(mount for mount in wishes.mounts if mount.kind != "tmpfs"))
    if not kept.mounts:
        return
    from lamina_runtime.engine import volumes

    yield Record(Op.ROOT, root, "aside", "rw")
    for row in bundle.asked_for(kept, volumes.places(engine, kept)):
        yield from plan.mounted(row)


def _drain(tar: IO[bytes], out: IO[bytes]) -> None:
    while data := tar.read(PIECE):
        out.write(data)
    out.flush()
