"""Containers on named networks: who starts on them, comes onto them while it runs, and leaves.

Theory.  What holds a container's place is its connection to the network's keeper, which its monitor
inherits; of one that came later, its process.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING

from lamina_runtime.container import launch
from lamina_runtime.container.plan import joined
from lamina_runtime.container.records import Op, Record
from lamina_runtime.engine import keepers, networks
from lamina_runtime.engine.networking import NetworkError, Way, host_address

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Joined
    from lamina_runtime.engine.context import Engine

ATTEMPTS = 5


@contextlib.contextmanager
def entered(engine: Engine, container: Container) -> Iterator[Way]:
    """Join the networks that a container is to be on; yield its way out.

    What holds its place are connections that the launcher inherits within the context.
    """
    record = container.record
    with contextlib.ExitStack() as stack:
        rows: list[Record] = []
        found: list[tuple[networks.Network, str]] = []
        keeper = 0
        for index, wished in enumerate(record.wishes.networks):
            network = networks.find(engine, wished.name)
            connection, address = _join(engine, container, network, wished, f"eth{index}")
            stack.enter_context(connection)
            connection.setblocking(True)  # noqa: FBT003 - it is the launcher's now
            connection.set_inheritable(True)
            keeper = keeper or keepers.peer(connection)
            rows.append(Record(Op.KEEPER, connection.fileno()))
            rows.append(_interface(network, address, f"eth{index}", way_out=index == 0))
            found.append((network, address))
        first, address = found[0]
        yield Way(
            first.name,
            address=address,
            router="" if first.internal else first.gateway,
            gateway="" if first.internal else host_address(),
            resolver="" if first.internal else first.resolver,
            rows=tuple(rows),
            joined={"user": f"/proc/{keeper}/ns/user"},
            addresses={network.name: address for network, address in found},
        )


def _interface(network: networks.Network, address: str, device: str, *, way_out: bool) -> Record:
    gateway = network.gateway if way_out and not network.internal else ""
    return Record(Op.INTERFACE, device, address, network.subnet.prefixlen, gateway)


def _join(
    engine: Engine, container: Container, network: networks.Network, wished: Joined, device: str
) -> tuple[socket.socket, str]:
    """Return the connection that holds a container's place on a network, and its address there."""
    record = container.record
    request = {
        "do": "join",
        "id": record.id,
        "names": list(dict.fromkeys([record.name, *wished.aliases, record.id[:12]])),
        "hosts": str(container.run / "hosts"),
        "device": device,
        "address": wished.address,
    }
    for _ in range(ATTEMPTS):
        connection = keepers.kept(engine, network)
        try:
            return connection, str(keepers.ask(connection, request)["address"])
        except ConnectionError:  # it ended just then, with its last member
            connection.close()
        except BaseException:
            connection.close()
            raise
    raise NetworkError(f"network {network.name}: its keeper does not stay")


def connect(engine: Engine, container: Container, network: networks.Network, wished: Joined) -> None:
    """Bring a container that runs onto a network."""
    pid = container.status().pid
    kept = json.loads((container.data / "config.json").read_bytes())
    spaces = {row["type"]: row.get("path", "") for row in kept["linux"]["namespaces"]}
    if "network" not in spaces or ("user" in spaces and not spaces["user"]):
        raise NetworkError(
            f"container {container.record.name} was not started on a named network, and runs",
            hint="connect it while it is stopped",
        )
    others = [networks.find(engine, one.name) for one in container.record.wishes.networks if one.name != network.name]
    taken = {row["device"] for other in others for row in keepers.members(engine, other) if row["id"] == container.id}
    device = next(name for name in map("eth{}".format, range(len(taken) + 1)) if name not in taken)
    connection, address = _join(engine, container, network, wished, device)
    with connection:
        keepers.ask(connection, {"do": "attach", "pid": pid})
        kinds = [kind for kind in ("user", "network") if kind in spaces]
        row = _interface(network, address, device, way_out=not others)
        rows = [joined(pid, kinds), Record(Op.NAMESPACES, "0x0"), row]
        rows += [Record(Op.CWD, "/"), Record(Op.IDS, 0, 0, ""), Record(Op.STDIO)]
        started = launch.start([*rows, Record(Op.ARG, sys.executable), Record(Op.ARG, "-V")],
                               errors=networks.sockets(engine) / "connect.log")  # fmt: skip
        os.waitpid(started.monitor, 0)
        keepers.ask(connection, {"do": "watch", "pid": pid})


def disconnect(engine: Engine, container: Container, network: networks.Network) -> None:
    """Take a container that runs off a network."""
    connection = keepers.connection(engine, network)
    if connection is not None:
        with connection:
            keepers.ask(connection, {"do": "leave", "id": container.id})
