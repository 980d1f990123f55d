"""Numbers of nodes: the way back lasts as long as the kernel's lookups."""

from __future__ import annotations

from lamina_native.verbs import ROOT, NodeId
from lamina_unionfs.inodes import UNUSUAL, Inodes


def test_beside_the_fast_path_numbers_are_nodes() -> None:
    inodes = Inodes(alone=False)
    assert inodes.take(NodeId(7), 1000) == 7
    assert inodes.node(7) == 7
    assert inodes.forget(7, 1) == 7


def test_alone_numbers_are_inode_numbers_until_forgotten() -> None:
    inodes = Inodes(alone=True)
    assert [inodes.take(NodeId(7), 1000) for _ in range(3)] == [1000] * 3
    assert inodes.node(1000) == 7
    assert inodes.forget(1000, 2) == 7
    assert inodes.number(NodeId(7), 2000) == 1000
    assert inodes.forget(1000, 1) == 7
    assert inodes.number(NodeId(7), 2000) == 2000


def test_the_root_is_always_the_root() -> None:
    inodes = Inodes(alone=True)
    assert inodes.take(ROOT, 1000) == ROOT
    assert inodes.node(ROOT) == ROOT
    assert inodes.take(NodeId(9), 1) == 9 | UNUSUAL


def test_two_nodes_of_one_inode_number_stay_apart() -> None:
    inodes = Inodes(alone=True)
    first, second = inodes.take(NodeId(7), 1000), inodes.take(NodeId(8), 1000)
    assert (inodes.node(first), inodes.node(second)) == (7, 8)
    assert inodes.forget(first, 1) == 7
    assert inodes.node(second) == 8
