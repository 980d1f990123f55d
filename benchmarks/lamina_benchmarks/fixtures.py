"""The trees that are measured, made once and kept in the cache.

The small Debian is real where mmdebstrap is installed and we are root; else a part of this
machine's own /usr stands for it, and the environment says so.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lamina_benchmarks import cache, client

MIB = 1 << 20
SUITE = "bookworm"
SECONDS = 600
STAND_IN = ("/usr/include", "/usr/share/doc", "/usr/lib/python3", "/usr/share/zoneinfo", "/usr/bin")
STAND_IN_FILES = 7000
STAND_IN_BYTES = 200 * MIB
PER_DIRECTORY = 1000


def has_debian() -> bool:
    """Say whether the small Debian is one."""
    return _archive(SUITE).exists() or (
        os.getuid() == 0 and _all_ids() and shutil.which("mmdebstrap") is not None
    )


def debian() -> Path:
    """Return the directory with a small Debian that has apt, or what stands for it."""
    name = SUITE if has_debian() else "stand-in"
    archive = _archive(name)
    tree = archive.with_suffix("")
    with cache.locked():
        if not archive.exists():
            part = archive.with_suffix(".part.tar")
            if name == SUITE:
                _run(["mmdebstrap", "--quiet", "--variant=apt", SUITE, str(part)])
            else:
                files = "\0".join(_own_files())
                words = ["tar", "-C", "/", "--null", "--no-recursion", "-T", "-", "-cf", str(part)]
                subprocess.run(words, input=files.encode(), check=True, timeout=SECONDS)
            part.rename(archive)
        if not tree.exists():
            part = tree.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            kept = ["--numeric-owner", "--xattrs", "--xattrs-include=*"]
            _run(["tar", *kept, "-xf", str(archive), "-C", str(part)])
            part.rename(tree)
    return tree


def archive() -> Path:
    """Return the tar of the same Debian."""
    tree = debian()
    return tree.with_name(f"{tree.name}.tar")


def tree(count: int) -> Path:
    """Return the small Debian; with a count only so many of the files of its /usr."""
    if not count:
        return debian()
    top = cache.directory() / f"tree-{count}"
    if not top.exists():
        making = _fresh(top)
        source = debian()
        names = [str(path.relative_to(source)) for path in small_files(source / "usr", count, MIB)]
        words = ["tar", "-C", str(source), "--null", "-T", "-", "-cf", str(tree_archive(count))]
        subprocess.run(words, input="\0".join(names).encode(), check=True, timeout=SECONDS)
        _run(["tar", "--numeric-owner", "-xf", str(tree_archive(count)), "-C", str(making)])
        making.rename(top)
    return top


def tree_archive(count: int) -> Path:
    """Return the tar of the same tree."""
    return cache.directory() / f"tree-{count}.tar" if count else archive()


def files(count: int, size: int) -> Path:
    """Return a directory whose directory "d" has `count` files of `size` bytes."""
    return _made(f"files-{count}-{size}", {"d": (count, size)})


def parts(number: int, count: int, size: int) -> Path:
    """Return a directory with `number` directories "p0", "p1" and so on of `count` files each."""
    return _made(f"parts-{number}-{count}-{size}", {f"p{part}": (count, size) for part in range(number)})


def many(count: int) -> Path:
    """Return a directory with `count` empty files, a thousand to a directory."""
    spare = os.statvfs(cache.directory()).f_favail
    if spare and spare < 2 * count:
        raise OSError(f"{cache.directory()} has no {count} inodes left")
    whole = max(1, count // PER_DIRECTORY)
    return _made(f"many-{count}", {f"d{part:04}": (min(count, PER_DIRECTORY), 0) for part in range(whole)})


def layers(count: int, total: int) -> tuple[Path, ...]:
    """Return `count` directories that have a part each of the `total` files of "d"."""
    top = cache.directory() / f"layers-{count}-{total}"
    paths = tuple(top / f"{number:03}" for number in range(count))
    if not top.exists():
        making = _fresh(top)
        for index in range(total):
            path = making / paths[index % count].name / "d" / f"f{index:05}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        making.rename(top)
    return paths


def large(at: Path, size: int) -> Path:
    """Make a file of `size` bytes named "large" in the directory `at`, and return the directory."""
    at.mkdir(exist_ok=True)
    path = at / "large"
    if not path.exists() or path.stat().st_size != size:
        client.run([str(client.build()), "seqwrite", str(path), str(size)])
        _run(["sync", "-f", str(path)])
    return at


def small_files(top: Path, most: int, largest: int) -> Iterator[Path]:
    """Give regular files of a tree in the order of their names, at most so many and so large."""
    given = 0
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_size <= largest and os.access(path, os.R_OK):
                yield path
                given += 1
                if given == most:
                    return


def _archive(name: str) -> Path:
    return cache.root() / (f"debian-{name}-apt.tar" if name == SUITE else f"{name}.tar")


def _all_ids() -> bool:
    words = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    return sum(map(int, words[2::3])) > 1 << 31


def _own_files() -> Iterator[str]:
    """Give files of this machine for the stand-in, from each place its share."""
    places = [Path(place) for place in STAND_IN if Path(place).is_dir()]
    left = STAND_IN_BYTES
    for place in places:
        for path in small_files(place, STAND_IN_FILES // len(places), MIB):
            left -= path.stat().st_size
            if left < 0:
                return
            yield str(path)[1:]


def _made(name: str, sets: dict[str, tuple[int, int]]) -> Path:
    """Return a directory with sets of equal files, made at first use."""
    top = cache.directory() / name
    if not top.exists():
        making = _fresh(top)
        for folder, (count, size) in sets.items():
            (making / folder).mkdir()
            client.run([str(client.build()), "create", str(making / folder), str(count), str(size)])
        making.rename(top)
    return top


def _fresh(top: Path) -> Path:
    """Return an empty directory in which to make one that is then renamed."""
    making = top.with_name(f"{top.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    return making


def _run(argv: list[str]) -> None:
    subprocess.run(argv, check=True, timeout=SECONDS)
