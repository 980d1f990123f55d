"""Named networks: what they are, their keepers, and containers that join them.

Theory.  A network is `networks/NAME/network.json` below the root; nothing runs for it until a
container does.  Then a keeper (network.keeping) is started, by the launcher and with slirp4netns as
for a container, and ends with the last container on it.  Whether there is one is asked of its
socket, never written down.  The first keeper of a plain user makes the user namespace that later
ones, and all containers on named networks, join.

One lock keeps the making, removing and starting of networks apart.

Past 400 lines: networks, keepers and who joins share that lock; keepers are the next to move out.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import logging
import os
import re
import secrets
import shutil
import socket
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lamina_runtime
from lamina_runtime.container import capabilities, launch
from lamina_runtime.container.plan import NAMESPACES, joined
from lamina_runtime.container.records import Op, Record
from lamina_runtime.engine import moments
from lamina_runtime.engine.networking import TUN, NetworkError, Way, host_address
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.store import files
from lamina_runtime.value import value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Joined
    from lamina_runtime.engine.context import Engine

VERSION = 1
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
BUILT_IN = ("bridge", "host", "none")
OTHERS = ("default", "private", "slirp4netns", "pasta", "container")  # words of --network
POOL = ipaddress.IPv4Network("10.89.0.0/16")  # podman's, cut into /24
WAIT = 10.0  # seconds for a keeper to come up, and for an answer
STEP = 0.01
PACKET = 1 << 16
ATTEMPTS = 5


class InUseError(LaminaError):
    """A network that containers are on, or a name that is taken."""


@value
class Network:
    """One named network."""

    name: str
    id: str
    created: str  # RFC 3339
    subnet: ipaddress.IPv4Network
    internal: bool
    labels: Mapping[str, str]

    @property
    def gateway(self) -> str:
        """Where packets for others go."""
        return str(self.subnet[2])

    @property
    def resolver(self) -> str:
        """What answers for names that are not of containers."""
        return str(self.subnet[3])


def folder(engine: Engine) -> Path:
    """Return the directory of networks; it need not exist."""
    return engine.root / "networks"


@contextlib.contextmanager
def changing(engine: Engine) -> Iterator[None]:
    """Keep others from making, removing or starting networks."""
    for path in (folder(engine), _sockets(engine)):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder(engine) / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def every(engine: Engine) -> list[Network]:
    """Return the named networks by their names."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder(engine))):
            with contextlib.suppress(NotFoundError):
                found.append(_load(engine, name))
    return found


def find(engine: Engine, word: str) -> Network:
    """Return the network of a name, an id or the beginning of one id only."""
    with contextlib.suppress(NotFoundError):
        return _load(engine, word)
    matches = [one for one in every(engine) if word and one.id.startswith(word)]
    if len(matches) > 1:
        raise UsageError(f"more than one network begins with {word}")
    if not matches:
        raise NotFoundError(f"network {word} not found")
    return matches[0]


def _load(engine: Engine, name: str) -> Network:
    try:
        if not NAME.fullmatch(name):
            raise FileNotFoundError
        kept = json.loads((folder(engine) / name / "network.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"network {name} not found") from None
    if kept["version"] != VERSION:
        raise LaminaError(f"network {name} was written by another version of lamina")
    subnet = ipaddress.IPv4Network(kept["subnet"])
    return Network(name, kept["id"], kept["created"], subnet, kept["internal"], kept["labels"])


def create(engine: Engine, name: str, *, subnet: str, internal: bool, labels: Mapping[str, str]) -> Network:
    """Make a network; InUseError where its name or its addresses are taken."""
    if not NAME.fullmatch(name):
        raise UsageError(f"invalid network name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if name in (*BUILT_IN, *OTHERS):
        raise UsageError(f"operation is not permitted on predefined {name} network")
    with changing(engine):
        known = every(engine)
        if any(one.name == name for one in known):
            raise InUseError(f"network with name {name} already exists")
        chosen = _subnet(subnet, [one.subnet for one in known])
        top = folder(engine) / name
        top.mkdir(mode=0o700, exist_ok=True)
        text = {
            "version": VERSION,
            "id": secrets.token_hex(32),
            "created": moments.now(),
            "subnet": str(chosen),
            "internal": internal,
            "labels": dict(labels),
        }
        files.replace(top / "network.json", json.dumps(text).encode(), temporary=top)
        return _load(engine, name)


def _subnet(wished: str, taken: Sequence[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    if wished:
        try:
            chosen = ipaddress.IPv4Network(wished)
        except ValueError:
            raise UsageError(f"invalid subnet {wished}: an IPv4 network as 10.1.2.0/24 expected") from None
        if not 8 <= chosen.prefixlen <= 25:  # slirp4netns takes no smaller one
            raise UsageError(f"invalid subnet {wished}: between /8 and /25")
        if any(chosen.overlaps(other) for other in taken):
            raise InUseError(f"invalid pool request: {chosen} overlaps with another network")
        return chosen
    for candidate in POOL.subnets(new_prefix=24):
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise InUseError("no subnet is left")


def remove(engine: Engine, word: str) -> Network:
    """Remove a network that nobody is on."""
    with changing(engine):
        network = find(engine, word)
        present = members(engine, network)
        if present:
            names = ", ".join(row["names"][0] for row in present)
            raise InUseError(
                f"error while removing network: network {network.name} id {network.id} has active endpoints",
                details=names,
            )
        files.remove(folder(engine) / network.name / "network.json")
        files.remove_tree(folder(engine) / network.name)
        return network


def check(engine: Engine, wished: Sequence[Joined]) -> None:
    """Refuse networks that are not there, and addresses that are not theirs."""
    for one in wished:
        network = find(engine, one.name)
        if one.address and ipaddress.IPv4Address(one.address) not in network.subnet:
            raise UsageError(f"address {one.address} is not in {network.subnet} of the network {one.name}")


# ---- keepers ----


def _sockets(engine: Engine) -> Path:
    return engine.directories.run / "networks"


def _connect(engine: Engine, network: Network) -> socket.socket | None:
    """Return a connection to a network's keeper, None where there is none."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.settimeout(WAIT)
    try:
        directory = os.open(_sockets(engine), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        made.close()
        return None
    try:  # by a descriptor: the path may be longer than an address may be
        made.connect(f"/proc/self/fd/{directory}/{network.id[:16]}")
    except (FileNotFoundError, ConnectionRefusedError):
        made.close()
        return None
    finally:
        os.close(directory)
    return made


def _ask(connection: socket.socket, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keeper's answer; NetworkError where it refuses, ConnectionError where it has gone."""
    connection.send(json.dumps(request).encode())
    data = connection.recv(PACKET)
    if not data:
        raise ConnectionResetError("the network's keeper has gone")
    answer: dict[str, Any] = json.loads(data)
    if "error" in answer:
        raise NetworkError(answer["error"])
    return answer


def _peer(connection: socket.socket) -> int:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("iII", raw)[0])


def members(engine: Engine, network: Network) -> list[dict[str, Any]]:
    """Return who is on a network."""
    connection = _connect(engine, network)
    if connection is None:
        return []
    with connection, contextlib.suppress(ConnectionError):
        found: list[dict[str, Any]] = _ask(connection, {"do": "members"})["members"]
        return found
    return []


def _kept(engine: Engine, network: Network) -> socket.socket:
    """Return a connection to a network's keeper, which is started where there is none."""
    with changing(engine):
        connection = _connect(engine, network)
        if connection is not None:
            return connection
        monitor = launch.start(
            _plan(engine, network), errors=_sockets(engine) / f"{network.id[:16]}.log"
        ).monitor
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            connection = _connect(engine, network)
            if connection is not None:
                return connection
            if os.waitpid(monitor, os.WNOHANG)[0]:
                break
            time.sleep(STEP)
        said = (_sockets(engine) / f"{network.id[:16]}.log").read_text(encoding="utf-8", errors="replace")
        raise NetworkError(
            f"network {network.name}: its keeper does not come up", details=said.strip()[-2000:]
        )


def _plan(engine: Engine, network: Network) -> list[Record]:
    """Return what starts a keeper: its namespaces, what leads out of them, its program."""
    mapped = engine.ids
    rows = []
    kinds = ["network"]
    shared = _shared(engine) if mapped.uids else 0
    if shared:
        rows.append(joined(shared, ("user",)))
    elif mapped.uids:
        kinds.append("user")
        for op, maps in ((Op.UIDMAP, mapped.uids), (Op.GIDMAP, mapped.gids)):
            rows += [Record(op, row.inside, row.outside, row.count) for row in maps]
        if mapped.mappers:
            rows.append(Record(Op.MAPPER, *mapped.mappers))
    rows.append(Record(Op.NAMESPACES, hex(sum(NAMESPACES[kind] for kind in kinds))))
    helper = [] if network.internal else _helper(network)
    rows += [Record(Op.NETWORK, word) for word in helper]
    task = {
        "of": str(engine.root),  # for whoever looks at it in a list of processes
        "name": network.name,
        "subnet": str(network.subnet),
        "outside": bool(helper),
        "socket": str(_sockets(engine) / network.id[:16]),
    }
    script = str(Path(lamina_runtime.__file__).parent / "keep.py")
    words = [sys.executable, "-I", "-S", script, json.dumps(task)]
    rights = f"{capabilities.mask(['CAP_NET_ADMIN']):x}"
    rows += [Record(Op.CWD, "/"), Record(Op.IDS, 0, 0, ""), Record(Op.NO_NEW_PRIVS), Record(Op.STDIO)]
    rows.append(Record(Op.CAPABILITIES, rights, rights, rights, "0", "0"))
    return [*rows, *(Record(Op.ARG, word) for word in words)]


def _helper(network: Network) -> list[str]:
    """Return slirp4netns's command: its device becomes a port of the keeper's bridge."""
    program = shutil.which("slirp4netns")
    if not program or not os.access(TUN, os.R_OK | os.W_OK):
        logging.getLogger(__name__).info("no slirp4netns: the network %s has no way out", network.name)
        return []
    words = [program, "--enable-sandbox", "--enable-seccomp", "--mtu=65520", "--disable-host-loopback"]
    return [*words, f"--cidr={network.subnet}", "--ready-fd=3", "--exit-fd=4", "{pid}", "tap0"]


def _shared(engine: Engine) -> int:
    """Return a process of the user namespace that the networks share, 0 where no network is kept."""
    for network in every(engine):
        connection = _connect(engine, network)
        if connection is not None:
            with connection:
                return _peer(connection)
    return 0


# ---- containers ----


@contextlib.contextmanager
def entered(engine: Engine, container: Container) -> Iterator[Way]:
    """Join the networks that a container is to be on; yield its way out.

    What holds its place are connections that the launcher inherits within the context.
    """
    record = container.record
    with contextlib.ExitStack() as stack:
        rows: list[Record] = []
        found: list[tuple[Network, str]] = []
        keeper = 0
        for index, wished in enumerate(record.wishes.networks):
            network = find(engine, wished.name)
            connection, address = _join(engine, container, network, wished, f"eth{index}")
            stack.enter_context(connection)
            connection.setblocking(True)  # noqa: FBT003 - it is the launcher's now
            connection.set_inheritable(True)
            keeper = keeper or _peer(connection)
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


def _interface(network: Network, address: str, device: str, *, way_out: bool) -> Record:
    gateway = network.gateway if way_out and not network.internal else ""
    return Record(Op.INTERFACE, device, address, network.subnet.prefixlen, gateway)


def _join(
    engine: Engine, container: Container, network: Network, wished: Joined, device: str
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
        connection = _kept(engine, network)
        try:
            return connection, str(_ask(connection, request)["address"])
        except ConnectionError:  # it ended just then, with its last member
            connection.close()
        except BaseException:
            connection.close()
            raise
    raise NetworkError(f"network {network.name}: its keeper does not stay")


def connect(engine: Engine, container: Container, network: Network, wished: Joined) -> None:
    """Bring a container that runs onto a network."""
    pid = container.status().pid
    kept = json.loads((container.data / "config.json").read_bytes())
    spaces = {row["type"]: row.get("path", "") for row in kept["linux"]["namespaces"]}
    if "network" not in spaces or ("user" in spaces and not spaces["user"]):
        raise NetworkError(
            f"container {container.record.name} was not started on a named network, and runs",
            hint="connect it while it is stopped",
        )
    others = [find(engine, one.name) for one in container.record.wishes.networks if one.name != network.name]
    taken = {row["device"] for other in others for row in members(engine, other) if row["id"] == container.id}
    device = next(name for name in map("eth{}".format, range(len(taken) + 1)) if name not in taken)
    connection, address = _join(engine, container, network, wished, device)
    with connection:
        _ask(connection, {"do": "attach", "pid": pid})
        kinds = [kind for kind in ("user", "network") if kind in spaces]
        row = _interface(network, address, device, way_out=not others)
        rows = [joined(pid, kinds), Record(Op.NAMESPACES, "0x0"), row]
        rows += [Record(Op.CWD, "/"), Record(Op.IDS, 0, 0, ""), Record(Op.STDIO)]
        started = launch.start([*rows, Record(Op.ARG, sys.executable), Record(Op.ARG, "-V")],
                               errors=_sockets(engine) / "connect.log")  # fmt: skip
        os.waitpid(started.monitor, 0)
        _ask(connection, {"do": "watch", "pid": pid})


def disconnect(engine: Engine, container: Container, network: Network) -> None:
    """Take a container that runs off a network."""
    connection = _connect(engine, network)
    if connection is not None:
        with connection:
            _ask(connection, {"do": "leave", "id": container.id})
