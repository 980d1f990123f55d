"""What one operation costs the server in system calls on layers, held at the present numbers."""

import functools
import json

import pytest

from tests.differential import runner

SLACK = 0.25  # of an operation: what runs beside it
BOUNDS = {
    "create": 4,  # open, its attributes, the write, the parent's attributes
    "unlink": 3,  # remove, the parent's attributes, close
    "change": 16,
    "chmod": 13,
    "chown": 15,
    "lookup": 1,
    "walk": 6,  # of a directory with two files: open, two times the entries, three attributes
    "miss": 0,
    "append": 1,
    "read": 11,  # of 129 KiB in two requests; tmpfs knows no RWF_NOWAIT, and each try costs a call
}


@functools.cache
def _measured() -> dict[str, dict[str, float]]:
    done = runner.module("tests.load.syscalls", seconds=90)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("operation", "bound"), BOUNDS.items())
def test_an_operation_costs_no_more_system_calls(operation: str, bound: int) -> None:
    counts = _measured()[operation]
    assert sum(counts.values()) <= bound + SLACK, counts


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(120)
def test_copies_in_memory_wait_for_no_disk() -> None:
    change = _measured()["change"]
    assert not {"fsync", "fdatasync", "syncfs"} & change.keys(), change
    assert change["pwrite64"] <= 2 + SLACK, "the copy and the write, by one descriptor"


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(120)
def test_large_reads_are_answered_by_reference() -> None:
    read = _measured()["read"]
    assert read["splice"] >= 2, read
    assert read["pread64"] <= 2 + SLACK, "the small rest of each file alone"
