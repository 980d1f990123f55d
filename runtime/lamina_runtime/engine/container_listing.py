"""Which containers there are, and how they are: `ps`, its filters, `container prune`."""

from __future__ import annotations

import os

from lamina_runtime import contexts
from lamina_runtime.container import health
from lamina_runtime.engine import moments, networking, pausing
from lamina_runtime.errors import LaminaError, NotFoundError
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina_runtime.container.state import Container, Status
    from lamina_runtime.engine.context import Engine


@value
class Listed:
    """A container and how it was when we looked."""

    container: Container
    status: Status
    state: str  # as docker names it
    created: float | None

    @property
    def network(self) -> str:
        """The network's name."""
        return networking.name(self.container)

    def ports(self, engine: Engine) -> str:
        """Return the ports as docker shows them; only what runs has any."""
        if not self.status.pid:
            return ""
        from lamina_runtime.oci.container import ContainerConfig

        image = ContainerConfig()
        with contexts.suppress(LaminaError):
            image = engine.store.images.get(self.container.record.image).config.config
        from lamina_runtime.container import ports

        exposed = networking.exposed(self.container.record.wishes, image)
        return ports.shown(networking.published(self.container), exposed)

    @property
    def health(self) -> str:
        """What its health check says: of HEALTH."""
        return health.word(self.container)

    def size(self) -> int:
        """Return the bytes that it has written."""
        return _size(self.container.data / "upper")


def listed(container: Container) -> Listed:
    """Look at a container."""
    status = container.status()
    state = status.kind
    if state == "running" and pausing.is_paused(container, status.pid):
        state = "paused"
    return Listed(container, status, state, moments.from_rfc3339(container.record.created))


def chosen(engine: Engine, words: Sequence[str], *, every: bool, count: int = -1) -> list[Listed]:
    """Return the containers that pass the filters, the newest first; only those that run, or all."""
    wanted: dict[str, list[str]] = {}
    tests = []
    if words:
        from lamina_runtime.engine import container_filters, filters

        wanted = filters.parse(words, container_filters.KEYS)
        tests = container_filters.chosen_by(engine, wanted)
    every = every or bool({"status", "exited"} & wanted.keys())
    found = [listed(container) for container in engine.containers.list()]
    passed = [
        one for one in found
        if (every or one.state not in ("created", "exited")) and all(test(one) for test in tests)
    ]  # fmt: skip
    return passed[:count] if count > 0 else passed


def prune(engine: Engine, words: Sequence[str]) -> tuple[list[str], int]:
    """Remove what does not run; return their ids and the bytes that they had written."""
    from lamina_runtime.container.state import ConflictError
    from lamina_runtime.engine import container_filters, containers

    tests = container_filters.for_pruning(words)
    removed, freed = [], 0
    containers.clear_debris(engine)
    for container in engine.containers.list():
        one = listed(container)
        if one.state not in ("created", "exited") or not all(test(one) for test in tests):
            continue
        size = one.size()
        try:
            containers.remove(engine, container)
        except (ConflictError, NotFoundError):  # started, or removed, in between
            continue
        removed.append(container.id)
        freed += size
    return removed, freed


def _size(path: os.PathLike[str]) -> int:
    total = 0
    waiting: list[os.PathLike[str] | str] = [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:  # it is being removed, or a directory of another id is closed to us
            continue
    return total
