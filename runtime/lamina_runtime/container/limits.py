"""Limits on what a container takes: wishes, a bundle's linux.resources, files of control groups.

Theory.  Pure.  A bundle says limits in the words of version 1 (runtime-spec, config-linux.md); what
version 2 wants follows from them as crun has it (crun.1, "CGROUP v2").  A controller's files are
written in the order given, since some values are checked against others.
"""

from __future__ import annotations

from lamina_runtime.errors import UsageError
from lamina_runtime.value import fields, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

PERIOD = 100_000  # microseconds, the kernel's default
LEAST_MEMORY = 6 << 20  # docker's
NANO = 1_000_000_000
Files = dict[str, list[tuple[str, str]]]  # by controller: file, value


@value
class Limits:
    """What --memory and its like say; 0 and "" where nothing was wished, -1 for no limit."""

    memory: int = 0  # bytes
    memory_swap: int = 0  # bytes of memory and swap together
    memory_reservation: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    pids: int = 0
    blkio_weight: int = 0

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return any(fields(self).values())

    def check(self, processors: int) -> None:
        """Raise UsageError for what makes no sense together, in docker's words."""
        if 0 < self.memory < LEAST_MEMORY:
            raise UsageError("Minimum memory limit allowed is 6MB")
        if self.memory_swap > 0 and not self.memory:
            raise UsageError("You should always set the Memory limit when using Memoryswap limit, see usage")
        if 0 < self.memory_swap < self.memory:
            raise UsageError("Minimum memoryswap limit should be larger than memory limit, see usage")
        if self.memory and self.memory_reservation > self.memory > 0:
            raise UsageError("Minimum memory limit can not be less than memory reservation limit, see usage")
        if self.nano_cpus and not NANO // 100 <= self.nano_cpus <= processors * NANO:
            raise UsageError(
                f"range of CPUs is from 0.01 to {processors}.00, as there are only {processors} available"
            )
        if self.cpu_shares and not 2 <= self.cpu_shares <= 262_144:
            raise UsageError(f"invalid CPU shares {self.cpu_shares}: from 2 to 262144")
        if self.blkio_weight and not 10 <= self.blkio_weight <= 1000:
            raise UsageError("range of blkio weight is from 10 to 1000")


def resources(limits: Limits) -> dict[str, Any]:
    """Return linux.resources; empty where nothing is limited."""
    swap = limits.memory_swap or (2 * limits.memory if limits.memory > 0 else limits.memory)
    memory = {"limit": limits.memory, "swap": swap, "reservation": limits.memory_reservation}
    cpu: dict[str, Any] = {"shares": limits.cpu_shares, "cpus": limits.cpuset_cpus}
    if limits.nano_cpus:
        cpu |= {"period": PERIOD, "quota": limits.nano_cpus * PERIOD // NANO}
    parts = {
        "memory": memory,
        "cpu": cpu,
        "pids": {"limit": limits.pids},
        "blockIO": {"weight": limits.blkio_weight},
    }
    found = {name: {key: value for key, value in part.items() if value} for name, part in parts.items()}
    return {name: part for name, part in found.items() if part}


def controllers(spec: Mapping[str, Any]) -> Sequence[str]:
    """Return the controllers that linux.resources needs, by their names in version 1."""
    return list(version_1(spec))


def version_1(spec: Mapping[str, Any]) -> Files:
    """Return what to write where each controller has a hierarchy of its own."""
    memory, cpu = spec.get("memory", {}), spec.get("cpu", {})
    return _given(
        {
            "memory": [
                ("memory.limit_in_bytes", memory.get("limit")),
                ("memory.memsw.limit_in_bytes", memory.get("swap")),
                ("memory.soft_limit_in_bytes", memory.get("reservation")),
            ],
            "cpu": [
                ("cpu.cfs_period_us", cpu.get("period")),
                ("cpu.cfs_quota_us", cpu.get("quota")),
                ("cpu.shares", cpu.get("shares")),
            ],
            "cpuset": [("cpuset.cpus", cpu.get("cpus"))],
            "pids": [("pids.max", _most(spec.get("pids", {}).get("limit")))],
            "blkio": [("blkio.bfq.weight", spec.get("blockIO", {}).get("weight"))],
        }
    )


def version_2(spec: Mapping[str, Any]) -> Files:
    """Return what to write where there is one hierarchy."""
    memory, cpu = spec.get("memory", {}), spec.get("cpu", {})
    limit, swap, shares = memory.get("limit"), memory.get("swap"), cpu.get("shares")
    weight = spec.get("blockIO", {}).get("weight")
    only_swap = swap if swap in (None, -1) else swap - (limit or 0)
    return _given(
        {
            "memory": [
                ("memory.max", _most(limit)),
                ("memory.swap.max", _most(only_swap)),
                ("memory.low", memory.get("reservation")),
            ],
            "cpu": [
                ("cpu.max", f"{cpu['quota']} {cpu['period']}" if "quota" in cpu else None),
                ("cpu.weight", None if shares is None else 1 + (shares - 2) * 9999 // 262142),
            ],
            "cpuset": [("cpuset.cpus", cpu.get("cpus"))],
            "pids": [("pids.max", _most(spec.get("pids", {}).get("limit")))],
            "io": [("io.weight", None if weight is None else 1 + (weight - 10) * 9999 // 990)],
        }
    )


def _most(value: int | None) -> int | str | None:
    return "max" if value == -1 else value


def _given(table: Mapping[str, Sequence[tuple[str, int | str | None]]]) -> Files:
    found = {
        name: [(file, str(value)) for file, value in rows if value is not None]
        for name, rows in table.items()
    }
    return {name: rows for name, rows in found.items() if rows}
