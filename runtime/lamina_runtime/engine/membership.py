"""Containers on named networks: who starts on them, comes onto them while it runs, and leaves.

Theory.  What holds a container's place is its connection to the network's keeper, which its monitor
inherits; of one that came later, its process.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

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
        way_out = None
        for index, wished in enumerate(record.wishes.networks):
            network = networks.find(engine, wished.name)
            connection, address = _join(engine, container, network, wished, f"eth{index}")
            stack.enter_context(connection)
            connection.setblocking(True)  # noqa: FBT003 - it is the launcher's now
            connection.set_inheritable(True)
            keeper = keeper or keepers.peer(connection)
            if way_out is None and not network.internal:
                way_out = network
            rows.append(Record(Op.KEEPER, connection.fileno()))
            rows.append(_interface(network, address, f"eth{index}", way_out=network is way_out))
            found.append((network, address))
        first, address = found[0]
        yield Way(
            first.name,
            address=address,
            router=way_out.gateway if way_out else "",
            gateway=host_address() if way_out else "",
            resolver=way_out.resolver if way_out else "",
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
    spaces = _spaces(container)
    if "network" not in spaces or ("user" in spaces and not spaces["user"]):
        raise NetworkError(
            f"container {container.record.name} was not started on a named network, and runs",
            hint="connect it while it is stopped",
        )
    others = _others(engine, container, network)
    taken = {row["device"] for other in others if (row := member(engine, other, container))}
    device = next(name for name in map("eth{}".format, range(len(taken) + 1)) if name not in taken)
    connection, address = _join(engine, container, network, wished, device)
    with connection:
        keepers.ask(connection, {"do": "attach", "pid": pid})
        way_out = all(other.internal for other in others)
        _configure(engine, container, _interface(network, address, device, way_out=way_out))
        keepers.ask(connection, {"do": "watch", "pid": pid})


def disconnect(engine: Engine, container: Container, network: networks.Network) -> None:
    """Take a container that runs off a network; another one of its networks is its way out then."""
    connection = keepers.connection(engine, network)
    if connection is not None:
        with connection:
            keepers.ask(connection, {"do": "leave", "id": container.id})
    wished = [networks.find(engine, one.name) for one in container.record.wishes.networks]
    ways = [one for one in wished if not one.internal]
    if not ways or ways[0].name != network.name:
        return  # it was no way out
    for other in ways[1:]:
        row = member(engine, other, container)
        if row:
            _configure(
                engine,
                container,
                Record(Op.INTERFACE, row["device"], "", other.subnet.prefixlen, other.gateway),
            )
            _ask_others(container, network.resolver, other.resolver)
            return


def _ask_others(container: Container, gone: str, resolver: str) -> None:
    """Put one resolver in the place of another; in the file itself, since it is mounted."""
    with (container.run / "resolv.conf").open("r+", encoding="utf-8", errors="surrogateescape") as file:
        lines = [
            f"nameserver {resolver}\n" if line.split() == ["nameserver", gone] else line for line in file
        ]
        file.seek(0)
        file.writelines(lines)
        file.truncate()


def _others(engine: Engine, container: Container, network: networks.Network) -> list[networks.Network]:
    wished = container.record.wishes.networks
    return [networks.find(engine, one.name) for one in wished if one.name != network.name]


def member(engine: Engine, network: networks.Network, container: Container) -> dict[str, Any] | None:
    """Return what a network's keeper knows of a container, None where it is not there."""
    return next((row for row in keepers.members(engine, network) if row["id"] == container.id), None)


def _spaces(container: Container) -> dict[str, str]:
    """Return the namespaces that a container has of its own, with their paths where it joined them."""
    kept = json.loads((container.data / "config.json").read_bytes())
    return {row["type"]: row.get("path", "") for row in kept["linux"]["namespaces"]}


def _configure(engine: Engine, container: Container, row: Record) -> None:
    """Set addresses and routes in the network of a container that runs."""
    spaces = _spaces(container)
    kinds = [kind for kind in ("user", "network") if kind in spaces]
    rows = [joined(container.status().pid, kinds), Record(Op.NAMESPACES, "0x0"), row]
    rows += [Record(Op.CWD, "/"), Record(Op.IDS, 0, 0, ""), Record(Op.STDIO)]
    rows += [Record(Op.ARG, word) for word in (sys.executable, "-I", "-S", "-V")]
    os.waitpid(launch.start(rows, errors=networks.sockets(engine) / "connect.log").monitor, 0)
