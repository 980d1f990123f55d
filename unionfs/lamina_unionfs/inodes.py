"""The one number by which pyfuse3 knows an object: nodeid and st_ino at once.

Theory.  Beside the fast path that number is the core's nodeid, because the fast path takes part
in the same conversation; it puts st_ino right in our replies (native/src/amend.h).  Alone we are
free to speak st_ino and to keep the way back to the nodeid as long as the kernel may use it,
which is as long as its lookups are not forgotten.

Should two nodes have one st_ino, which the core avoids but layers can bring about, the second is
known by a number that no layer has.
"""

from __future__ import annotations

from lamina_native.verbs import ROOT, NodeId

UNUSUAL = 1 << 63  # above all inode numbers of the core


class Inodes:
    """Nodes by number and numbers by node; `alone` says whether they differ."""

    __slots__ = ("_alone", "_counts", "_nodes", "_numbers")

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone
        self._nodes: dict[int, NodeId] = {}
        self._numbers: dict[NodeId, int] = {}
        self._counts: dict[NodeId, int] = {}

    def node(self, number: int) -> NodeId:
        """Return the node that the kernel means."""
        return self._nodes.get(number, NodeId(number))

    def number(self, node: NodeId, ino: int) -> int:
        """Return what to call a node whose st_ino is `ino`, where no lookup is taken."""
        return self._numbers.get(node, ino)

    def take(self, node: NodeId, ino: int) -> int:
        """Return what to call a node that the kernel gets one more lookup of."""
        if not self._alone or node == ROOT:
            return node
        number = self._numbers.get(node)
        if number is None:
            number = node | UNUSUAL if ino == ROOT or ino in self._nodes else ino
            self._numbers[node], self._nodes[number] = number, node
        self._counts[node] = self._counts.get(node, 0) + 1
        return number

    def forget(self, number: int, count: int) -> NodeId:
        """Take `count` lookups back; return the node they were of."""
        node = self.node(number)
        left = self._counts.get(node, 0) - count
        if left > 0:
            self._counts[node] = left
        elif node in self._counts:
            del self._counts[node], self._nodes[self._numbers.pop(node)]
        return node
