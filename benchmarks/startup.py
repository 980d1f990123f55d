"""How long a mount takes from exec to the first answer, and what an idle server holds in memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Startup:
    """Medians of one program's mounts."""

    program: str
    milliseconds: float
    resident_kib: int


def measure(program: str, top: Path, *, rounds: int) -> Startup:
    """Mount `rounds` times an empty read-only union with `program`."""
    lower, merged = top / "lower", top / "merged"
    lower.mkdir(exist_ok=True)
    merged.mkdir(exist_ok=True)
    times, sizes = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run(
            [program, "-o", f"lowerdir={lower}", str(merged)],
            check=True,
            timeout=20,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.stat(merged)
        times.append((time.perf_counter() - started) * 1000)
        sizes.append(resident_kib(str(merged)))
        subprocess.run(["umount", str(merged)], check=True, timeout=20)
        time.sleep(0.05)  # the server's end must not overlap the next start
    return Startup(Path(program).name, statistics.median(times), int(statistics.median(sizes)))


def resident_kib(argument: str) -> int:
    """Return the resident memory of the process that was called with `argument`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                status = (entry / "status").read_text()
            except OSError:
                continue
            if argument.encode() in words:
                line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
                return int(line.split()[1])
    return 0
