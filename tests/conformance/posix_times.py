"""Time stamps, to the nanosecond."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import Steps, eq, opened, put
from tests.support import tree

CASES = Table()
OLD = 1_000_000_000_123_456_789  # 2001, with nanoseconds
STILL: tree.Tree = {
    "f": tree.file("x", mtime_ns=OLD),
    "d/": tree.directory(mtime_ns=OLD),
    "d/g": tree.file("y", mtime_ns=OLD),
}


def _stamps(path: Path) -> tuple[int, int, int]:
    info = os.lstat(path)
    return info.st_atime_ns, info.st_mtime_ns, info.st_ctime_ns


@CASES.case(STILL, everywhere=True)
def stamps_of_untouched_objects_are_kept(top: Path) -> None:
    eq((os.stat(top / "f").st_mtime_ns, os.stat(top / "d" / "g").st_mtime_ns), (OLD, OLD))
    os.chmod(top / "f", 0o600)
    eq(os.stat(top / "f").st_mtime_ns, OLD)


@CASES.case(STILL | {"s": tree.symlink("f")}, everywhere=True)
def utimensat_sets_nanoseconds_on_every_type(top: Path) -> None:
    for name in ("f", "d", "s"):
        os.utime(top / name, ns=(OLD + 1, OLD + 2), follow_symlinks=False)
        eq(_stamps(top / name)[:2], (OLD + 1, OLD + 2), name)
    eq(os.stat(top / "f").st_mtime_ns, OLD + 2)
    os.utime(top / "f", ns=(0, 0))
    eq(_stamps(top / "f")[:2], (0, 0))


@CASES.case(STILL)
def utime_without_values_means_now(top: Path) -> None:
    start = time.time_ns()
    os.utime(top / "f")
    atime, mtime, ctime = _stamps(top / "f")
    for stamp in (atime, mtime, ctime):
        assert abs(stamp - start) < 5 * 10**9, (stamp, start)


@CASES.case(STILL)
def writing_sets_mtime_and_ctime(top: Path) -> None:
    _, mtime, ctime = _stamps(top / "f")
    with opened(top / "f", os.O_WRONLY) as fd:
        os.write(fd, b"new")
        assert os.fstat(fd).st_mtime_ns > mtime
    assert _stamps(top / "f")[1] > mtime
    assert _stamps(top / "f")[2] > ctime


@CASES.case(STILL)
def truncating_sets_mtime_and_ctime(top: Path) -> None:
    os.truncate(top / "f", 100)
    assert _stamps(top / "f")[1] > OLD
    os.utime(top / "f", ns=(OLD, OLD))
    with opened(top / "f", os.O_WRONLY | os.O_TRUNC):
        pass
    assert _stamps(top / "f")[1] > OLD


@CASES.case(STILL)
def reading_and_opening_set_neither(top: Path) -> None:
    before = _stamps(top / "f")[1:], _stamps(top / "d")[1:]
    with opened(top / "f", os.O_RDONLY) as fd:
        os.read(fd, 9)
    with opened(top / "f", os.O_RDWR):
        pass
    os.listdir(top / "d")
    eq(_stamps(top / "f")[1], before[0][0])
    eq((_stamps(top / "d")[1:]), before[1])


@CASES.case(STILL)
def chmod_sets_ctime_only(top: Path) -> None:
    _, mtime, ctime = _stamps(top / "f")
    time.sleep(0.012)
    os.chmod(top / "f", 0o600)
    eq(_stamps(top / "f")[1], mtime)
    assert _stamps(top / "f")[2] > ctime


@CASES.case(STILL)
def creating_touches_the_parent(top: Path) -> None:
    steps: Steps = (
        lambda: put(top / "d" / "n"),
        lambda: os.mkdir(top / "d" / "m"),
        lambda: os.symlink("x", top / "d" / "s"),
        lambda: os.link(top / "d" / "g", top / "d" / "l"),
        lambda: os.rename(top / "d" / "l", top / "d" / "r"),
        lambda: os.unlink(top / "d" / "r"),
        lambda: os.rmdir(top / "d" / "m"),
    )
    for number, step in enumerate(steps):
        os.utime(top / "d", ns=(OLD, OLD))
        step()
        assert _stamps(top / "d")[1] > OLD, f"step {number}"


@CASES.case(STILL)
def changing_a_child_leaves_the_parent_alone(top: Path) -> None:
    os.utime(top / "d", ns=(OLD, OLD))
    with opened(top / "d" / "g", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"more")
    os.chmod(top / "d" / "g", 0o600)
    os.utime(top / "d" / "g", ns=(5, 5))
    eq(_stamps(top / "d")[1], OLD)


@CASES.case(STILL)
def stamps_set_through_a_descriptor_stay(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        os.write(fd, b"data")
        os.utime(fd, ns=(OLD + 7, OLD + 8))
        eq((os.fstat(fd).st_atime_ns, os.fstat(fd).st_mtime_ns), (OLD + 7, OLD + 8))
    eq(_stamps(top / "f")[1], OLD + 8)


@CASES.case(STILL)
def far_dates_are_kept(top: Path) -> None:
    for stamp in (-(10**18), 4_000_000_000 * 10**9 + 5):
        os.utime(top / "f", ns=(stamp, stamp))
        eq(os.stat(top / "f").st_mtime_ns, stamp)
