"""What the processes of containers are and use: `top` and `stats`."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from lamina_runtime.container import processes
from lamina_runtime.engine import containers
from lamina_runtime.errors import LaminaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina_runtime.container.state import Container
    from lamina_runtime.engine.context import Engine

INTERVAL = 1.0  # seconds
SECONDS = 30  # for ps(1)


class Stats(NamedTuple):
    """One container in one interval."""

    id: str
    name: str
    cpu: float  # percent of one processor
    memory: int
    limit: int
    read: int
    written: int
    received: int
    sent: int
    processes: int


def top(container: Container, options: Sequence[str]) -> list[list[str]]:
    """Return what ps(1) with these options says of a container's processes, heading first."""
    pid = container.status().pid
    if not pid:
        raise processes.NotRunningError(container)
    members = {str(one) for one in processes.members(pid)}
    try:
        ended = subprocess.run(
            ["ps", *options], capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except FileNotFoundError:
        raise LaminaError("ps is not installed", hint="apt-get install procps") from None
    lines = ended.stdout.splitlines()
    if ended.returncode != 0 or not lines:
        raise UsageError(f"ps: {ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else 'failed'}")
    heading = lines[0].split()
    if "PID" not in heading:
        raise UsageError("couldn't find PID field in ps output")
    at = heading.index("PID")
    rows = [line.split(None, len(heading) - 1) for line in lines[1:]]
    return [heading, *(row for row in rows if len(row) > at and row[at] in members)]


def stats(engine: Engine, names: Sequence[str], *, every: bool) -> Iterator[list[Stats]]:
    """Yield what containers used in one interval after the other."""
    known = containers.containers(engine)
    for name in names:
        known.find(name)
    before: dict[str, tuple[float, int]] = {}
    first = True
    while True:
        found = [known.find(name) for name in names] if names else known.list()
        measured = []
        for container in found:
            pid = container.status().pid
            if not pid and not every and not names:
                continue
            measured.append(_measured(container, pid, before))
        if not first:
            yield measured
        first = False
        time.sleep(INTERVAL)


def _measured(container: Container, pid: int, before: dict[str, tuple[float, int]]) -> Stats:
    used = processes.usage(pid) if pid else processes.Usage(0, 0, 0, 0, 0, 0, 0)
    now = time.monotonic()
    then, ticks = before.get(container.id, (now, used.ticks))
    before[container.id] = now, used.ticks
    seconds = (used.ticks - ticks) / os.sysconf("SC_CLK_TCK")
    share = 100 * seconds / (now - then) if now > then else 0.0
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if container.record.wishes.resources.memory > 0:
        limit = min(limit, container.record.wishes.resources.memory)
    return Stats(
        container.id, container.record.name, max(0.0, share), used.memory, limit if pid else 0,
        used.read, used.written, used.received, used.sent, used.processes,
    )  # fmt: skip
