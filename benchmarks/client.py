"""The C program that does the work: compiled when its source is newer."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.integration.rootfs import CACHE

SOURCE = Path(__file__).with_name("work.c")
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Spent:
    """What the work took, without the start of the program."""

    ns: int
    cpu_ns: int


def build() -> Path:
    """Compile the program into the cache."""
    program = CACHE / "bench" / "work"
    program.parent.mkdir(parents=True, exist_ok=True)
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        compiler = shutil.which("gcc") or "cc"
        words = [compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", str(program), str(SOURCE)]
        subprocess.run(words, check=True, timeout=SECONDS)
    return program


def run(argv: list[str]) -> Spent:
    """Run a command line that ends in the program and its arguments."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[-4:])}: {done.stderr.strip()}")
    words = done.stdout.split()
    return Spent(int(words[0]), int(words[1]))
