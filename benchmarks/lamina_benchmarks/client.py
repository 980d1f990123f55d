"""The C program that does the work: compiled when there is none of this source."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lamina_benchmarks import cache

SOURCE = Path(__file__).with_name("work.c")
SECONDS = 120
MOST_SHOWN = 60
NUMBERS = re.compile(r"([0-9]{1,20}) ([0-9]{1,20}) [0-9]{1,20}")
# What users' settings say must not change what is measured.
SETTINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "LC_ALL": "C",
}


class FailedError(Exception):
    """A piece of work that failed; the text says which and how."""


class TooSlowError(FailedError):
    """A piece of work that was given up."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the work took, without the start of the program."""

    ns: int
    cpu_ns: int
    output: str = ""


def compiler() -> str | None:
    """Return the C compiler."""
    return shutil.which("gcc") or shutil.which("cc")


def build() -> Path:
    """Compile the program into the cache."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    program = cache.directory() / f"work-{digest}"
    if not _usable(program):
        part = program.with_suffix(f".{os.getpid()}")
        if compiler() is None:
            raise FailedError("no C compiler is installed")
        words = [str(compiler()), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", str(part), str(SOURCE)]
        subprocess.run(words, check=True, timeout=SECONDS)
        part.chmod(0o755)
        part.rename(program)
    return program


def _usable(program: Path) -> bool:
    try:
        status = program.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and cache.ours(status)


def run(argv: list[str]) -> Spent:
    """Run a command line that ends in the program and its arguments."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=SECONDS, check=False, env=os.environ | SETTINGS
        )
    except subprocess.TimeoutExpired:
        raise TooSlowError(f"{_brief(argv)}: took more than {SECONDS} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise FailedError(f"{_brief(argv)}: {lines[-1]}")
    output, _, numbers = done.stdout.rstrip("\n").rpartition("\n")
    found = NUMBERS.fullmatch(numbers)
    if found is None:
        raise FailedError(f"{_brief(argv)}: printed no numbers: {numbers[:MOST_SHOWN]!r}")
    return Spent(int(found[1]), int(found[2]), output)


def _brief(argv: list[str]) -> str:
    return " ".join(argv[-4:])[:120]
