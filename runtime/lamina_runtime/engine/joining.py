"""`network connect` and `disconnect`: what a container's record says, and what is so if it runs."""

from __future__ import annotations

from lamina_runtime.engine import containers, membership, networking, networks
from lamina_runtime.errors import UsageError
from lamina_runtime.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.container.wishes import Joined
    from lamina_runtime.engine.context import Engine


def connect(engine: Engine, word: str, wished: Joined) -> None:
    """Put a container on a network."""
    known = containers.containers(engine)
    container = known.find(word)
    with container.turn():
        container = known.find(container.id)  # as it is now
        network = networks.find(engine, wished.name)
        wished = replace(wished, name=network.name)
        networks.check(engine, [wished])
        wishes = container.record.wishes
        if wishes.network not in ("", "default", networking.DEFAULT, "private"):
            raise UsageError(f"a container on the network {wishes.network} cannot be on another")
        if any(one.name == network.name for one in wishes.networks):
            raise networks.InUseError(
                f"endpoint with name {container.record.name} already exists in network {network.name}"
            )
        changed = replace(wishes, networks=(*wishes.networks, wished), network="", network_options=())
        if container.status().kind == "running":
            membership.connect(engine, replace(container, record=replace(container.record, wishes=changed)),
                             network, wished)  # fmt: skip
        known.change(container, changed)


def disconnect(engine: Engine, word: str, name: str, *, force: bool) -> None:
    """Take a container off a network."""
    known = containers.containers(engine)
    container = known.find(word)
    with container.turn():
        container = known.find(container.id)
        network = networks.find(engine, name)
        wishes = container.record.wishes
        if all(one.name != network.name for one in wishes.networks):
            if force:
                return
            raise UsageError(f"container {container.record.name} is not connected to network {network.name}")
        if container.status().kind == "running":
            membership.disconnect(engine, container, network)
        rest = tuple(one for one in wishes.networks if one.name != network.name)
        known.change(container, replace(wishes, networks=rest))
