"""Inode numbers, device numbers, sizes and birth times."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, opened, put
from tests.support import tree
from tests.support.syscalls import STATX_BTIME, statx

CASES = Table()
MANY: tree.Tree = {f"d{a}/f{b}": f"{a}{b}" for a in range(10) for b in range(20)}
KINDS: tree.Tree = {
    "f": "x",
    "d/": tree.directory(),
    "d/g": "y",
    "s": tree.symlink("f"),
    "p": tree.fifo(),
    "q": tree.sock(),
}


def _inodes(top: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for where, dirs, files in os.walk(top):
        for name in (*dirs, *files):
            info = os.lstat(Path(where) / name)
            found[str((Path(where) / name).relative_to(top))] = (info.st_dev, info.st_ino)
    return found


@CASES.case(MANY, everywhere=True)
def inode_numbers_are_unique(top: Path) -> None:
    found = _inodes(top)
    eq(len(found), 210)
    eq(len(set(found.values())), 210)
    assert all(inode for _, inode in found.values())


@CASES.case(KINDS, everywhere=True)
def inode_numbers_survive_change(top: Path) -> None:
    before = _inodes(top)
    os.chmod(top / "f", 0o600)
    with opened(top / "d" / "g", os.O_WRONLY) as fd:
        os.write(fd, b"changed")
        eq(os.fstat(fd).st_ino, before["d/g"][1])
    os.chmod(top / "d", 0o700)
    os.utime(top / "s", ns=(5, 5), follow_symlinks=False)
    os.chmod(top / "p", 0o600)
    os.chmod(top / "q", 0o600)
    eq(_inodes(top), before)


@CASES.case(KINDS)
def inode_numbers_survive_rename(top: Path) -> None:
    before = _inodes(top)
    for name in ("f", "s", "p", "q"):
        os.rename(top / name, top / "d" / name)
    after = _inodes(top)
    for name in ("f", "s", "p", "q"):
        eq(after[f"d/{name}"], before[name], name)


@CASES.case(KINDS)
def open_descriptor_and_path_agree(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as fd:
        before = os.fstat(fd)
        os.chmod(top / "f", 0o640)
        with opened(top / "f", os.O_RDWR) as writer:
            os.write(writer, b"longer than before")
            after = os.stat(top / "f")
            for other in (os.fstat(fd), os.fstat(writer)):
                eq((other.st_dev, other.st_ino, other.st_size), (after.st_dev, after.st_ino, after.st_size))
        eq((before.st_dev, before.st_ino), (after.st_dev, after.st_ino))


@CASES.case(KINDS)
def one_device_number_for_all(top: Path) -> None:
    eq({dev for dev, _ in _inodes(top).values()}, {os.stat(top).st_dev})


@CASES.case(KINDS)
def removed_and_made_again_is_another(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as fd:
        os.unlink(top / "f")
        put(top / "f")
        assert os.stat(top / "f").st_ino != os.fstat(fd).st_ino


@CASES.case({"f": tree.file(bytes(100_000))})
def size_and_blocks_are_told(top: Path) -> None:
    info = os.stat(top / "f")
    eq(info.st_size, 100_000)
    assert 0 < info.st_blocks * 512 < 200_000, info.st_blocks
    assert info.st_blksize >= 512
    eq(os.stat(top).st_size >= 0, True)


@CASES.case({"s": tree.symlink("target/of/it")})
def symlink_size_is_its_length(top: Path) -> None:
    eq(os.lstat(top / "s").st_size, 12)


@CASES.case({"old": "x"})
def birth_time_is_kept(top: Path) -> None:
    put(top / "new")
    for name in ("old", "new"):
        first = statx(top / name)
        if not first.mask & STATX_BTIME:
            continue  # may be lacking, may not be wrong
        assert abs(first.btime_ns - time.time_ns()) < 600 * 10**9, name
        os.utime(top / name, ns=(1, 1))
        eq(statx(top / name).btime_ns if name == "new" else first.btime_ns, first.btime_ns, name)


@CASES.case({"f": "x", "d/": tree.directory()})
def statx_and_stat_agree(top: Path) -> None:
    for name in ("f", "d"):
        found, info = statx(top / name), os.stat(top / name)
        eq((found.ino, found.size), (info.st_ino, info.st_size), name)


@CASES.case({"f": "x"})
def statfs_describes_the_upper(top: Path) -> None:
    info = os.statvfs(top)
    eq(info.f_namemax, 255)
    assert info.f_bsize > 0
    assert 0 < info.f_bfree <= info.f_blocks
    eq(os.statvfs(top / "f").f_blocks, info.f_blocks)


@CASES.case({"d/": tree.directory(), "d/a/": tree.directory(), "d/b/": tree.directory()})
def directory_link_counts_are_plausible(top: Path) -> None:
    # overlayfs and btrfs say 1: "not counted"
    assert os.stat(top / "d").st_nlink in (1, 2, 4)
    os.mkdir(top / "d" / "c")
    assert os.stat(top / "d").st_nlink in (1, 2, 3, 5)
