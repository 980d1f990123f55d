"""Limits as files of control groups, and where groups can be made."""

from __future__ import annotations

from pathlib import Path

import pytest
from lamina_runtime.container import cgroups, limits
from lamina_runtime.container.limits import Limits

ALL = Limits(
    memory=64 << 20, memory_swap=96 << 20, memory_reservation=32 << 20, nano_cpus=1_500_000_000,
    cpu_shares=1024, cpuset_cpus="0-1", pids=-1, blkio_weight=1000,
)  # fmt: skip


def test_version_1() -> None:
    assert limits.version_1(limits.resources(ALL)) == {
        "memory": [
            ("memory.limit_in_bytes", "67108864"),
            ("memory.memsw.limit_in_bytes", "100663296"),
            ("memory.soft_limit_in_bytes", "33554432"),
        ],
        "cpu": [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "150000"), ("cpu.shares", "1024")],
        "cpuset": [("cpuset.cpus", "0-1")],
        "pids": [("pids.max", "max")],
        "blkio": [("blkio.bfq.weight", "1000")],
    }


def test_version_2_counts_swap_alone_and_weighs_otherwise() -> None:
    assert limits.version_2(limits.resources(ALL)) == {
        "memory": [("memory.max", "67108864"), ("memory.swap.max", "33554432"), ("memory.low", "33554432")],
        "cpu": [("cpu.max", "150000 100000"), ("cpu.weight", "39")],  # crun's for 1024
        "cpuset": [("cpuset.cpus", "0-1")],
        "pids": [("pids.max", "max")],
        "io": [("io.weight", "10000")],
    }


@pytest.mark.parametrize(("swap", "expected"), [(0, "67108864"), (-1, "max")])
def test_swap_that_nobody_wished_is_as_much_as_memory(swap: int, expected: str) -> None:
    spec = limits.resources(Limits(memory=64 << 20, memory_swap=swap))
    assert ("memory.swap.max", expected) in limits.version_2(spec)["memory"]


def test_no_wish_no_limit() -> None:
    assert not Limits()
    assert limits.resources(Limits()) == {}


MOUNTS = """\
25 20 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro
26 25 0:23 /outer {top}/memory rw - cgroup cgroup rw,memory
27 25 0:24 / {top}/cpu rw - cgroup cgroup rw,cpu,cpuacct
28 25 0:25 / {top}/unified rw - cgroup2 cgroup2 rw
"""


def test_hierarchies_of_both_versions_and_a_part_mounted_alone(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified/cgroup.controllers").write_text("pids io\n")
    membership = "4:memory:/outer/mine\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user/scope\n"
    memory, cpu, unified = cgroups.hierarchies(MOUNTS.format(top=tmp_path), membership)
    assert (memory.version, memory.own, memory.controllers) == (
        1,
        tmp_path / "memory/mine",
        frozenset(("memory",)),
    )
    assert (cpu.own, cpu.controllers) == (tmp_path / "cpu", frozenset(("cpu", "cpuacct")))
    assert (unified.version, unified.own, unified.controllers) == (
        2, tmp_path / "unified/user/scope", frozenset(("pids", "io")),
    )  # fmt: skip


def _tree(top: Path, *names: str) -> cgroups.Hierarchy:
    """Make what looks like a hierarchy of version 2; the last name is where we are."""
    own = top
    for name in ("", *names):
        own = own / name
        own.mkdir(exist_ok=True)
        (own / "cgroup.procs").touch()
        (own / "cgroup.controllers").write_text("memory pids\n")
        (own / "cgroup.subtree_control").write_text("memory pids\n" if own == top else "")
    return cgroups.Hierarchy(2, top, own, frozenset(("memory", "pids")))


def test_a_controller_that_is_not_there_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    tree = _tree(tmp_path, "user")
    with pytest.raises(cgroups.LimitError, match="--cpus: no control group of ours") as raised:
        cgroups.make("x", limits.resources(Limits(nano_cpus=10**9, pids=5)), place=[tree])
    assert raised.value.exit_code == 125
    assert not list(tmp_path.rglob("lamina-x"))


def test_a_group_that_gives_nothing_away_is_passed_over(tmp_path: Path) -> None:
    tree = _tree(tmp_path, "busy")
    (tree.own / "cgroup.controllers").write_text("\n")
    with pytest.raises(cgroups.LimitError, match="pids"):  # no kernel that would make files there
        cgroups.make("x", limits.resources(Limits(pids=5)), place=[tree])
    (tmp_path / "lamina-y").mkdir()
    (tmp_path / "lamina-y/cgroup.controllers").touch()
    (tmp_path / "lamina-y/pids.max").touch()
    assert cgroups.make("y", limits.resources(Limits(pids=5)), place=[tree]) == [tmp_path / "lamina-y"]
    assert (tmp_path / "lamina-y/pids.max").read_text() == "5"
