"""`lamina update`: other limits and another restart policy, also while a container runs."""

from __future__ import annotations

import os

from lamina_runtime.container import cgroups, limits
from lamina_runtime.engine import containers
from lamina_runtime.errors import UsageError
from lamina_runtime.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lamina_runtime.container.state import Container
    from lamina_runtime.engine.context import Engine


def update(engine: Engine, container: Container, wished: Mapping[str, Any], *, restart: str | None) -> None:
    """Change a container; `wished` are fields of Limits.  LimitError where a limit cannot be set."""
    with container.turn():
        before = container.record.wishes
        if restart and before.auto_remove:
            raise UsageError(
                "restart policy cannot be updated because AutoRemove is enabled for the container"
            )
        after = replace(before.resources, **wished)
        after.check(os.cpu_count() or 1)
        if wished and container.status().pid:
            changed = limits.Limits(**{key: getattr(after, key) for key in _together(wished)})
            cgroups.change(cgroups.kept(container), limits.resources(changed))
        policy = before.restart if restart is None else restart
        containers.containers(engine).change(container, replace(before, resources=after, restart=policy))


def _together(wished: Mapping[str, Any]) -> set[str]:
    """Return the fields to be set: a limit of swap follows from that of memory."""
    memory = {"memory", "memory_swap"}
    return {*wished, *memory} if memory & wished.keys() else {*wished}
