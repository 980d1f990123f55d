"""`make bench`: print one table a workload."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import startup

ROUNDS = 21


def main() -> int:
    """Run all workloads."""
    ours = str(Path(sys.executable).with_name("lamina-unionfs"))
    programs = [ours, *filter(None, [shutil.which("fuse-overlayfs")])]
    print("program          start, ms   resident, KiB")
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as top:
        for program in programs:
            row = startup.measure(program, Path(top), rounds=ROUNDS)
            print(f"{row.program:15} {row.milliseconds:10.1f} {row.resident_kib:15}")
    return 0


sys.exit(main())
