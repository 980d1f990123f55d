"""The keeper of a named network: a process that has its bridge, and knows who is on it.

Theory.  A network is a network namespace of its own with a bridge in it.  What leads out is
slirp4netns, whose device is a port of that bridge; each container has a pair of devices, one end a
port, the other in the container.  All keepers of a user and the containers on their networks share
one user namespace, because a pair may only be made by who has the right to both ends.

Who wants to be on the network connects and says which names it has; it gets an address, and keeps it
while the connection lasts, or, for a container that ran already, while its process does.  The
connection is the monitor's in the end, so nothing has to be given back.  The keeper ends with its
last member.

Names are found through /etc/hosts: each member's has a part for each of its networks, written
whenever somebody comes or goes.

Requests are packets of JSON: {"do": "join", ...}, {"do": "attach", "pid": ...}, {"do": "watch"},
{"do": "leave", "id": ...}, {"do": "members"}; each is answered by one, {"error": TEXT} where it
cannot be.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import selectors
import socket
import struct
from typing import Any

from lamina_runtime.network.netlink import Links

MTU = 65520  # slirp4netns's longest
PACKET = 1 << 16
BRIDGE, OUT = "br0", "tap0"
HOSTS_LIMIT = 1 << 20
FIRST = 4  # of a network's addresses: the first three are the gateway's and the resolver's
_CREDENTIALS = "iII"


class RefusedError(Exception):
    """A request that cannot be met."""


class Member:
    """One who is on the network."""

    def __init__(self, number: int, request: dict[str, Any], address: str) -> None:
        self.number, self.address = number, address
        self.id: str = request["id"]
        self.names: list[str] = request["names"]
        self.hosts: str = request["hosts"]
        self.device: str = request["device"]
        self.watched = -1  # a descriptor of its process, once it is not held by a connection

    def describe(self) -> dict[str, Any]:
        """Return what others may know."""
        return {"id": self.id, "names": self.names, "address": self.address, "device": self.device}


class Keeper:
    """The network's bridge and its members."""

    def __init__(self, name: str, subnet: str, *, outside: bool) -> None:
        self._name, self._subnet = name, ipaddress.IPv4Network(subnet)
        self._links = Links()
        self._links.bridge(BRIDGE)
        self._links.raise_(BRIDGE)
        if outside:
            self._links.raise_(OUT, master=BRIDGE, mtu=MTU)
        self._members: dict[str, Member] = {}  # by address
        self._count = 0

    def __len__(self) -> int:
        return len(self._members)

    def join(self, request: dict[str, Any]) -> Member:
        """Give somebody an address."""
        if any(member.id == request["id"] for member in self._members.values()):
            raise RefusedError(f"it is on the network {self._name} already")
        self._count += 1
        member = Member(self._count, request, self._address(request.get("address", "")))
        self._members[member.address] = member
        return member

    def _address(self, wished: str) -> str:
        if wished:
            if ipaddress.IPv4Address(wished) not in self._subnet:
                raise RefusedError(f"address {wished} is not in {self._subnet}")
            if wished in self._members or wished in map(
                str, (self._subnet[0], self._subnet[2], self._subnet[3])
            ):
                raise RefusedError(f"address {wished} is in use")
            return wished
        for number in range(FIRST, self._subnet.num_addresses - 1):
            address = str(self._subnet[number])
            if address not in self._members:
                return address
        raise RefusedError(f"no address is left in {self._subnet}")

    def attach(self, member: Member, pid: int) -> None:
        """Connect a member's network namespace, then tell everybody its names."""
        port = f"v{member.number}"
        try:
            self._links.pair(port, member.device, pid=pid, mtu=MTU)
            self._links.raise_(port, master=BRIDGE)
        except OSError as error:
            self._links.remove(port)
            raise RefusedError(f"network {self._name}: {error.strerror}") from None
        self._tell()

    def leave(self, member: Member) -> None:
        """Forget a member."""
        if self._members.pop(member.address, None) is None:
            return
        self._links.remove(f"v{member.number}")
        if member.watched >= 0:
            os.close(member.watched)
        self._tell()
        _write_names(member.hosts, self._name, [])

    def find(self, identity: str) -> Member:
        """Return the member of an id."""
        for member in self._members.values():
            if member.id == identity:
                return member
        raise RefusedError(f"it is not on the network {self._name}")

    def members(self) -> list[Member]:
        """Return who is on the network."""
        return [*self._members.values()]

    def _tell(self) -> None:
        rows = [(member.address, member.names) for member in self._members.values()]
        for member in self._members.values():
            _write_names(member.hosts, self._name, rows)


def _write_names(path: str, network: str, rows: list[tuple[str, list[str]]]) -> None:
    """Write the part of a network in a hosts file; in place, since it is mounted in the container."""
    begin, end = f"# network {network}\n", f"# end of network {network}\n"
    part = begin + "".join(f"{address}\t{' '.join(names)}\n" for address, names in rows) + end
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # the container is gone
    with open(fd, "r+b", buffering=0) as file:
        fcntl.flock(fd, fcntl.LOCK_EX)  # another network's keeper may write too
        text = file.read(HOSTS_LIMIT).decode("utf-8", "surrogateescape")
        before, found, rest = text.partition(begin)
        after = rest.partition(end)[2] if found else ""
        data = (before + (part if rows else "") + after).encode("utf-8", "surrogateescape")
        file.seek(0)
        file.write(data)
        file.truncate(len(data))


class Desk:
    """The socket at which the keeper is asked."""

    def __init__(self, keeper: Keeper, path: str) -> None:
        self._keeper = keeper
        self._selector = selectors.DefaultSelector()
        self._held: dict[socket.socket, Member | None] = {}
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen(128)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until nobody is left; the first has some time to come."""
        timeout: float | None = 10.0
        while True:
            events = self._selector.select(timeout)
            for key, _ in events:
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.data, Member):
                    self._ended(key.data)
                else:
                    self._hear(key.fileobj)  # type: ignore[arg-type]  # only sockets else
            if not self._held and not len(self._keeper):
                if not events or timeout is None:
                    return
            else:
                timeout = None

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        size = struct.calcsize(_CREDENTIALS)
        raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        if struct.unpack(_CREDENTIALS, raw)[1] != os.getuid():
            client.close()
            return
        self._held[client] = None
        self._selector.register(client, selectors.EVENT_READ)

    def _hear(self, client: socket.socket) -> None:
        try:
            data = client.recv(PACKET)
        except OSError:
            data = b""
        if not data:
            self._gone(client)
            return
        try:
            answer = self._answer(client, json.loads(data))
        except RefusedError as error:
            answer = {"error": str(error)}
        except (ValueError, KeyError, TypeError, OSError) as error:
            answer = {"error": f"a request that makes no sense: {type(error).__name__}"}
        with contextlib.suppress(OSError):
            client.send(json.dumps(answer).encode())

    def _answer(self, client: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "join":
                if self._held[client] is not None:
                    raise RefusedError("a connection is for one member")
                member = self._keeper.join(request)
                self._held[client] = member
                return {"address": member.address}
            case "attach":
                self._keeper.attach(self._own(client), int(request["pid"]))
                return {"done": True}
            case "watch":  # it runs: from now on its process holds its place, not the connection
                member = self._own(client)
                member.watched = os.pidfd_open(int(request["pid"]))
                self._selector.register(member.watched, selectors.EVENT_READ, member)
                self._held[client] = None
                return {"done": True}
            case "leave":
                self._leave(self._keeper.find(request["id"]))
                return {"done": True}
            case "members":
                return {"members": [member.describe() for member in self._keeper.members()]}
            case _:
                raise RefusedError("no such request")

    def _own(self, client: socket.socket) -> Member:
        member = self._held[client]
        if member is None:
            raise RefusedError("nobody has joined on this connection")
        return member

    def _leave(self, member: Member) -> None:
        for client, held in self._held.items():
            if held is member:
                self._held[client] = None
        if member.watched >= 0:
            self._selector.unregister(member.watched)
        self._keeper.leave(member)

    def _ended(self, member: Member) -> None:
        self._leave(member)

    def _gone(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        member = self._held.pop(client)
        client.close()
        if member is not None:
            self._keeper.leave(member)


def main(text: str) -> int:
    """Keep the network that `text` says until nobody is on it."""
    task = json.loads(text)
    keeper = Keeper(task["name"], task["subnet"], outside=task["outside"])
    Desk(keeper, task["socket"]).serve()
    return 0
