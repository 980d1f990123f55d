"""What commands cost, counted: times flake, numbers of calls do not.

Held at the present numbers with a tenth to spare.  What Python's own start takes is measured beside
and left out, and so is what allocators and schedulers decide.
"""

from __future__ import annotations

import collections
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import BASE, SECOND, Lamina
from tests.support.images import Layout

pytestmark = [pytest.mark.root, pytest.mark.parametrize("lamina", ["root"], indirect=True)]

SECONDS = 60
SYNCS = ("fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "msync")
OPENS = ("openat", "open", "openat2")
FORKS = ("fork", "vfork", "clone", "clone3")
CHANCE = re.compile(
    r"futex|mmap|munmap|mremap|brk|madvise|mprotect|rt_sig\w+|sched_\w+|restart_syscall|getrandom|getpid|gettid"
)
_CALL = re.compile(r"^\d+\s+(\w+)\((.*)")

STORE = 3  # syncs that make a store: store.json, and the names of two directories
LAYER = 8  # tar, index, sums, record, forms; the names of three directories
BLOB = 3  # a blob, its name, and what the layer's record says of it
IMAGE = 10  # manifest, configuration, metadata, record, reference, and the name of each
OPENS_OF_IMAGES, CALLS_OF_IMAGES = 125, 1060
OPENS_OF_LOAD = 380
OPENS_OF_MOUNT = 665  # of mount, the driver, ls and unmount


class Counts(collections.Counter[str]):
    """System calls by name; "process" is each start of one, "program" each execve(2)."""

    def of(self, names: Sequence[str]) -> int:
        return sum(self[name] for name in names)

    @property
    def steady(self) -> int:
        return sum(number for name, number in self.items() if not CHANCE.fullmatch(name))


def counted(log: Path, words: Sequence[str]) -> Counts:
    """Run a command and all that it starts; return the calls."""
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log), *words],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts = Counts()
    for found in filter(None, map(_CALL.match, log.read_text(errors="replace").splitlines())):
        name, rest = found.groups()
        counts["program" if name == "execve" else name] += 1
        counts["process"] += name in FORKS and "CLONE_THREAD" not in rest
    return counts


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """What a Python that does nothing takes."""
    return counted(tmp_path_factory.mktemp("start") / "log", [sys.executable, "-I", "-S", "-c", "pass"])


def test_listing_images_opens_little_and_syncs_nothing(loaded: Lamina, start: Counts) -> None:
    counts = counted(loaded.top / "log", loaded.words("images"))
    assert counts.of(SYNCS) == 0
    assert counts["process"] == 0
    assert counts.of(OPENS) - start.of(OPENS) <= OPENS_OF_IMAGES
    assert counts.steady - start.steady <= CALLS_OF_IMAGES


@pytest.mark.parametrize("gzipped", [False, True])
def test_loading_syncs_what_must_outlive_the_power_once(lamina: Lamina, start: Counts, gzipped: bool) -> None:
    layout = Layout(lamina.top / "layout")
    layout.name(layout.image([BASE, SECOND], gzipped=gzipped), "docker.io/library/two:latest")
    counts = counted(lamina.top / "log", lamina.words("load", "-qi", layout.top))
    assert counts.of(SYNCS) == STORE + 2 * (LAYER + BLOB * gzipped) + IMAGE
    assert counts["process"] == 0
    assert counts.of(OPENS) - start.of(OPENS) <= OPENS_OF_LOAD
    again = counted(lamina.top / "log", lamina.words("load", "-qi", layout.top))
    assert again.of(SYNCS) == 0
    assert again.of(OPENS) - start.of(OPENS) <= OPENS_OF_LOAD


def test_mounting_starts_the_driver_and_nothing_else(loaded: Lamina, start: Counts) -> None:
    place = loaded.top / "mnt"
    place.mkdir()
    steps = (loaded.words("mount", "two", place), ["ls", str(place)], loaded.words("unmount", place))
    script = "; ".join(map(shlex.join, steps))
    # A namespace that somebody makes meanwhile would get a copy of the mount, and the server live as long.
    counts = counted(loaded.top / "log", ["unshare", "--mount", "sh", "-ec", script])
    assert counts.of(SYNCS) == 0
    assert counts["process"] - len(steps) == 1
    assert counts.of(OPENS) - start.of(OPENS) <= OPENS_OF_MOUNT
