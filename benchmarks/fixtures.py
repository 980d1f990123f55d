"""The trees that are measured, made once and kept in the cache."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks import client
from tests.integration import rootfs

FIXTURES = rootfs.CACHE / "bench"
MIB = 1 << 20


def debian() -> Path:
    """Return the directory with a small Debian."""
    return rootfs.debian()


def archive() -> Path:
    """Return the tar of the same Debian."""
    return debian().with_suffix(".tar")


def files(count: int, size: int) -> Path:
    """Return a directory whose directory "d" has `count` files of `size` bytes."""
    return _made(f"files-{count}-{size}", [f"{count} {size}"])


def layers(count: int, total: int) -> tuple[Path, ...]:
    """Return `count` directories that have a part each of the `total` files of "d"."""
    top = FIXTURES / f"layers-{count}-{total}"
    paths = tuple(top / f"{number:03}" for number in range(count))
    if not top.exists():
        making = top.with_suffix(".making")
        for index in range(total):
            path = making / paths[index % count].name / "d" / f"f{index:05}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        making.rename(top)
    return paths


def python() -> Path:
    """Return the directory from which the machine's own Python runs: its lower is /usr."""
    return Path("/usr")


def large(at: Path, size: int) -> Path:
    """Make a file of `size` bytes named "large" in the directory `at`, and return the directory."""
    at.mkdir(exist_ok=True)
    path = at / "large"
    if not path.exists() or path.stat().st_size != size:
        client.run([str(client.build()), "seqwrite", str(path), str(size)])
        subprocess.run(["sync", "-f", str(path)], check=True, timeout=client.SECONDS)
    return at


def _made(name: str, sets: list[str]) -> Path:
    top = FIXTURES / name
    if not top.exists():
        making = top.with_suffix(".making")
        directory = making / "d"
        directory.mkdir(parents=True)
        for words in sets:
            client.run([str(client.build()), "create", str(directory), *words.split()])
        making.rename(top)
    return top
