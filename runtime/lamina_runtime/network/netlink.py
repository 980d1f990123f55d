"""The few words of rtnetlink(7) that the keeper of a network speaks: bridges, pairs, up and down.

Theory.  A request is a header, a structure and attributes, each padded to four bytes; the kernel
answers with an error number, 0 for success.  One request at a time, each acknowledged.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWLINK, DELLINK = 16, 17
REQUEST, ACK, CREATE, EXCLUSIVE = 0x1, 0x4, 0x400, 0x200
ERROR = 2
UP = 1  # IFF_UP
MOST = 1 << 16
_IFNAME, _MTU, _MASTER, _LINKINFO, _NET_NS_PID = 3, 4, 10, 18, 19
_KIND, _DATA = 1, 2
_PEER = 1  # VETH_INFO_PEER


class Links:
    """A connection to the kernel about the devices of our network namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def bridge(self, name: str) -> None:
        """Make a bridge."""
        info = _attribute(_KIND, b"bridge")
        self._ask(NEWLINK, CREATE | EXCLUSIVE, _link(0, 0) + _name(name) + _attribute(_LINKINFO, info))

    def pair(self, name: str, inside: str, *, pid: int, mtu: int) -> None:
        """Make two devices that are connected, `inside` in the network namespace of a process."""
        size = _attribute(_MTU, struct.pack("=I", mtu))
        peer = _link(0, 0) + _name(inside) + size + _attribute(_NET_NS_PID, struct.pack("=I", pid))
        info = _attribute(_KIND, b"veth") + _attribute(_DATA, _attribute(_PEER, peer))
        self._ask(NEWLINK, CREATE | EXCLUSIVE, _link(0, 0) + _name(name) + size + _attribute(_LINKINFO, info))

    def raise_(self, name: str, *, master: str = "", mtu: int = 0) -> None:
        """Bring a device up, as a port of a bridge where one is named."""
        rest = _attribute(_MTU, struct.pack("=I", mtu)) if mtu else b""
        if master:
            rest += _attribute(_MASTER, struct.pack("=I", socket.if_nametoindex(master)))
        self._ask(NEWLINK, 0, _link(socket.if_nametoindex(name), UP) + rest)

    def remove(self, name: str) -> None:
        """Remove a device, and the other of a pair; one that is gone is fine."""
        with contextlib.suppress(OSError):
            self._ask(DELLINK, 0, _link(socket.if_nametoindex(name), 0))

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        head = struct.pack("=IHHII", 16 + len(body), kind, REQUEST | ACK | flags, self._sequence, 0)
        self._socket.send(head + body)
        for sequence, error in _answers(self._socket.recv(MOST)):
            if sequence == self._sequence and error:
                raise OSError(error, os.strerror(error))


def _answers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (sequence, error) of the kernel's answers."""
    while len(data) >= 20:
        length, kind, _, sequence, _, error = struct.unpack_from("=IHHIIi", data)
        if kind == ERROR:
            yield sequence, -error
        data = data[max(20, (length + 3) & ~3) :]


def _link(index: int, flags: int) -> bytes:
    """Return struct ifinfomsg; of the flags only those that are given change."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _attribute(kind: int, value: bytes) -> bytes:
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + bytes(-size % 4)


def _name(name: str) -> bytes:
    return _attribute(_IFNAME, name.encode() + b"\0")
