"""`lamina commit` and `lamina diff` of a container: what it changed becomes a layer.

Theory.  Only the upper is read.  A container that runs is stopped meanwhile, all its processes at
once, so that the layer is one moment of it.  The image's configuration is edited as docker does:
what the container was run with, then --change.
"""

from __future__ import annotations

import os

from lamina_runtime import contexts
from lamina_runtime.container import health
from lamina_runtime.engine import footing, inside, moments, naming
from lamina_runtime.oci import json, media
from lamina_runtime.oci.container import ContainerConfig, History
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.manifest import build_manifest
from lamina_runtime.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Wishes
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store.images import Image


@value
class Commit:
    """What is wished of the new image."""

    name: str = ""
    author: str = ""
    message: str = ""
    changes: Sequence[str] = ()
    pause: bool = True


def diff(engine: Engine, container: Container) -> list[tuple[str, str]]:
    """Return (A, C or D, path) of what a container changed."""
    image = engine.store.images.get(container.record.image)
    task = _task("changes", engine, container, image, 0)
    rows = os.fsdecode(inside.answer(task, engine.ids)).split("\0")
    return [(row[0], row[1:]) for row in rows if row]


def commit(engine: Engine, container: Container, wish: Commit) -> Digest:
    """Make an image of a container; return its id."""
    store = engine.store
    name = naming.target(wish.name) if wish.name else None
    with store.lease(f"commit {container.record.name}") as lease:
        image = store.images.get(container.record.image)
        base = image.config
        config = base.edit(config=_configured(base.config, container.record.wishes))
        command = " ".join(config.config.cmd or ())
        if wish.changes:
            from lamina_runtime.engine import changes

            config = config.edit(config=changes.apply(config.config, wish.changes))
        with store.layers.writer(None, diff_id=None, keep_blob=False) as writer:
            with _still(engine, container, image, pause=wish.pause) as (pid, settled):
                task = _task("layer", engine, container, image, 0 if settled else pid)
                inside.deliver(task, engine.ids, writer.write, join=pid)
            layer = writer.commit()
        now = moments.creation_time()
        step = History(now, command, wish.author, wish.message)
        config = config.with_step(step, layer.diff_id)
        config = config.edit(fields={"created": now, "author": wish.author or None})
        layers = [*image.manifest.layers, Descriptor(media.OCI_LAYER, layer.diff_id, layer.size)]
        manifest = build_manifest(config.descriptor(), _of_one_kind(layers))
        return store.images.add(manifest, config, lease, names=[name] if name else [], later=True).id


def _of_one_kind(layers: list[Descriptor]) -> list[Descriptor]:
    """Return descriptors as an OCI manifest wants them; docker's types say the same in other words."""
    return [
        replace(layer, media_type=media.layer_type(media.compression(layer.media_type), docker=False))
        if media.is_docker(layer.media_type)
        else layer
        for layer in layers
    ]


def _task(operation: str, engine: Engine, container: Container, image: Image, pid: int) -> dict[str, Any]:
    whole = footing.form(container) == "copy"
    return {
        "operation": operation,
        "upper": str(footing.copy(container) if whole else container.data / "upper"),
        "whole": whole,
        "image": footing.settings(image, engine.ids),
        "places": _places(container),
        "pid": pid,
    }


def _places(container: Container) -> list[str]:
    """Return where the launcher puts things in a container."""
    try:
        raw = (container.data / "config.json").read_bytes()
    except FileNotFoundError:
        return []
    if not raw:  # the power failed just after its start
        return []
    config = json.load_object(raw, "config.json").fields
    devices = config.get("linux", {}).get("devices", ())
    mounts = [mount["destination"] for mount in config.get("mounts", ())]
    return [*mounts, *(device["path"] for device in devices)]


@contexts.contextmanager
def _still(engine: Engine, container: Container, image: Image, *, pause: bool) -> Iterator[tuple[int, bool]]:
    """Hold a container or its files still; yield the pid of its first process, 0 if it does not run.

    And whether what was written has come to the upper: it cannot be brought there any more.
    """
    pid = container.status().pid
    if not pid:
        with container.turn():
            yield 0, True
        return
    from lamina_runtime.engine import pausing

    if not pause and not pausing.is_paused(container, pid):
        from lamina_runtime.engine import holding

        inside.answer(_task("settle", engine, container, image, pid), engine.ids, join=pid)
        with holding.held(container):
            yield pid, True
        return
    with pausing.paused(container, pid):
        yield pid, False


def _published(wishes: Wishes) -> set[str]:
    return {f"{one.port}/{one.protocol}" for one in wishes.ports}


def _configured(image: ContainerConfig, wishes: Wishes) -> ContainerConfig:
    """Return the configuration with what the container was run with."""
    env = {word.partition("=")[0]: word for word in (*image.env, *wishes.env)}
    made = replace(
        image,
        env=tuple(env.values()),
        user=wishes.user or image.user,
        exposed_ports=tuple(sorted({*image.exposed_ports, *wishes.expose, *_published(wishes)})),
        stop_signal=wishes.stop_signal or image.stop_signal,
        stop_timeout=image.stop_timeout if wishes.stop_timeout is None else wishes.stop_timeout,
        healthcheck=health.merged(image.healthcheck, wishes.health),
        working_dir=wishes.working_dir or image.working_dir,
        labels={**image.labels, **wishes.labels},
    )
    if wishes.entrypoint is not None:
        made = replace(made, entrypoint=wishes.entrypoint, cmd=wishes.command or None)
    elif wishes.command:
        made = replace(made, cmd=wishes.command)
    return made
