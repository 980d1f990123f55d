"""Copy-up: what comes to the upper, when, and how exact."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from tests.conformance.case import Union, UnionTable
from tests.conformance.check import eq, fails, mode_of, opened, pattern, put, read
from tests.conformance.posix_acl import ACCESS, named
from tests.conformance.union_whiteout import overlay_xattr
from tests.support import tree
from tests.support.dump import assert_on

CASES = UnionTable()
MIB = 1 << 20
OLD = 1_000_000_000_123_456_789
BIG: tree.Tree = {"f": tree.file(pattern(4 * MIB), mode=0o640, mtime_ns=OLD, xattrs={"user.k": b"v"})}
DEEP: tree.Tree = {
    "a/": tree.directory(mode=0o750, mtime_ns=OLD, xattrs={"user.a": b"1"}),
    "a/b/": tree.directory(mode=0o711, mtime_ns=OLD),
    "a/b/f": tree.file("x", mode=0o604, mtime_ns=OLD),
}


def _no_data(union: Union, name: str) -> None:
    """Assert that the upper holds metadata alone."""
    path = union.upper / name
    assert_on(union.upper, name, "file")
    info = os.lstat(path)
    assert info.st_blocks * 512 < 64 * 1024, f"{info.st_blocks} blocks of data on the upper"
    assert overlay_xattr(union, path, "metacopy") is not None, "no metacopy xattr"


def _has_data(union: Union, name: str) -> None:
    assert overlay_xattr(union, union.upper / name, "metacopy") is None, "metacopy xattr is still there"
    eq(read(union.upper / name), read(union.top / name))


@CASES.case([BIG | DEEP | {"s": tree.symlink("f")}])
def looking_copies_nothing(union: Union) -> None:
    for name in ("f", "a/b/f", "s", "a"):
        os.stat(union.top / name)
        os.listxattr(union.top / name)
        os.access(union.top / name, os.W_OK)
    eq(len(read(union.top / "f")), 4 * MIB)
    os.listdir(union.top / "a" / "b")
    with opened(union.top / "f", os.O_RDONLY) as fd:
        os.fsync(fd)
    for name in ("f", "a", "s"):
        assert_on(union.upper, name, "absent")


@CASES.case([BIG], everywhere=True)
def write_copies_the_whole_file(union: Union) -> None:
    with opened(union.top / "f", os.O_RDWR) as fd:
        os.pwrite(fd, b"new", MIB)
    expected = bytearray(pattern(4 * MIB))
    expected[MIB : MIB + 3] = b"new"
    eq(read(union.upper / "f"), bytes(expected))
    eq(read(union.lowers[0] / "f"), pattern(4 * MIB))
    info = os.lstat(union.upper / "f")
    eq((stat.S_IMODE(info.st_mode), os.getxattr(union.upper / "f", "user.k")), (0o640, b"v"))
    _has_data(union, "f")


@CASES.case([BIG], everywhere=True)
def chmod_copies_no_data(union: Union) -> None:
    os.chmod(union.top / "f", 0o600)
    _no_data(union, "f")
    info = os.stat(union.top / "f")
    eq((stat.S_IMODE(info.st_mode), info.st_size, info.st_mtime_ns), (0o600, 4 * MIB, OLD))
    assert info.st_blocks * 512 >= 3 * MIB, "st_blocks of the metadata is shown"
    eq(read(union.top / "f"), pattern(4 * MIB))
    _no_data(union, "f")


@CASES.case([BIG], needs=["uids"])
def chown_copies_no_data(union: Union) -> None:
    os.chown(union.top / "f", 5, 6)
    _no_data(union, "f")
    info = os.lstat(union.upper / "f")
    eq((info.st_uid, info.st_gid, info.st_size), (5, 6, 4 * MIB))
    eq(read(union.top / "f"), pattern(4 * MIB))


@CASES.case([BIG])
def utimens_copies_no_data(union: Union) -> None:
    os.utime(union.top / "f", ns=(OLD + 1, OLD + 2))
    _no_data(union, "f")
    eq(os.stat(union.top / "f").st_mtime_ns, OLD + 2)


@CASES.case([BIG])
def setxattr_copies_no_data(union: Union) -> None:
    os.setxattr(union.top / "f", "user.new", b"x")
    os.removexattr(union.top / "f", "user.k")
    _no_data(union, "f")
    eq(os.listxattr(union.top / "f"), ["user.new"])


@CASES.case([BIG])
def rename_copies_no_data(union: Union) -> None:
    os.mkdir(union.top / "d")
    os.rename(union.top / "f", union.top / "d" / "moved")
    _no_data(union, "d/moved")
    eq(read(union.top / "d" / "moved"), pattern(4 * MIB))
    os.rename(union.top / "d" / "moved", union.top / "again")
    eq(read(union.top / "again"), pattern(4 * MIB))
    put(union.top / "f", "another")
    eq(read(union.top / "again"), pattern(4 * MIB))


@CASES.case([BIG], everywhere=True)
def metadata_copy_is_completed_by_a_write(union: Union) -> None:
    os.chmod(union.top / "f", 0o600)
    with opened(union.top / "f", os.O_RDONLY) as early, opened(union.top / "f", os.O_RDWR) as fd:
        os.pwrite(fd, b"new", 2 * MIB)
        eq(os.pread(early, 3, 2 * MIB), b"new")
    _has_data(union, "f")
    eq(
        (mode_of(union.top / "f"), read(union.top / "f")[2 * MIB + 3 :]),
        (0o600, pattern(4 * MIB)[2 * MIB + 3 :]),
    )


@CASES.case([BIG])
def metadata_copy_is_truncated(union: Union) -> None:
    os.chmod(union.top / "f", 0o600)
    os.truncate(union.top / "f", MIB + 5)
    _has_data(union, "f")
    eq(read(union.top / "f"), pattern(4 * MIB)[: MIB + 5])
    os.truncate(union.top / "f", 0)
    eq(read(union.top / "f"), b"")


@CASES.case([BIG])
def metadata_copy_gets_a_second_name(union: Union) -> None:
    os.chmod(union.top / "f", 0o600)
    os.link(union.top / "f", union.top / "l")
    os.unlink(union.top / "f")
    eq(read(union.top / "l"), pattern(4 * MIB))
    with opened(union.top / "l", os.O_WRONLY) as fd:
        os.write(fd, b"new")
    _has_data(union, "l")


@CASES.case([BIG])
def open_with_trunc_copies_no_data(union: Union) -> None:
    with opened(union.top / "f", os.O_WRONLY | os.O_TRUNC) as fd:
        os.write(fd, b"small")
    eq((read(union.upper / "f"), mode_of(union.upper / "f")), (b"small", 0o640))
    eq(os.getxattr(union.upper / "f", "user.k"), b"v")


@CASES.case([DEEP], everywhere=True)
def parents_come_up_exact(union: Union) -> None:
    os.chmod(union.top / "a" / "b" / "f", 0o640)
    for name, mode in (("a", 0o750), ("a/b", 0o711)):
        info = os.lstat(union.upper / name)
        eq((stat.S_IMODE(info.st_mode), info.st_mtime_ns), (mode, OLD), name)
        eq(os.stat(union.top / name).st_mtime_ns, OLD, name)
    eq(os.getxattr(union.upper / "a", "user.a"), b"1")
    eq(os.lstat(union.upper / "a" / "b" / "f").st_mtime_ns, OLD)


OWNED: tree.Tree = {
    "f": tree.file("x", mode=0o4755, uid=1000, gid=2000, xattrs={"user.k": b"v"}),
    "d/": tree.directory(mode=0o3775, uid=1000, gid=2000),
    "s": tree.file("acl", mode=0o640, xattrs={ACCESS: named(1000, 6)}),
}


@CASES.case([OWNED], needs=["uids"], everywhere=True)
def owner_mode_and_acl_come_up(union: Union) -> None:
    with opened(union.top / "s", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")
    eq(os.getxattr(union.upper / "s", ACCESS), named(1000, 6))
    os.utime(union.top / "f", ns=(5, 5))
    put(union.top / "d" / "new")
    for name, mode in (("f", 0o4755), ("d", 0o3775)):
        info = os.lstat(union.upper / name)
        eq((info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)), (1000, 2000, mode), name)
    eq(os.getxattr(union.upper / "f", "user.k"), b"v")


SPECIAL: tree.Tree = {"l": tree.symlink("target"), "p": tree.fifo(mode=0o620), "q": tree.sock(mode=0o711)}


@CASES.case([SPECIAL])
def special_files_come_up_as_themselves(union: Union) -> None:
    for name, kind in (("l", "symlink"), ("p", "fifo"), ("q", "socket")):
        os.utime(union.top / name, ns=(OLD, OLD), follow_symlinks=False)
        assert_on(union.upper, name, kind)
        eq(os.lstat(union.upper / name).st_mtime_ns, OLD)
    eq(os.readlink(union.upper / "l"), "target")
    eq((mode_of(union.upper / "p"), mode_of(union.upper / "q")), (0o620, 0o711))


@CASES.case([{"null": tree.device(stat.S_IFCHR, 1, 3, mode=0o640)}], needs=["device"])
def devices_come_up_with_their_numbers(union: Union) -> None:
    os.chown(union.top / "null", 5, 6)
    info = os.lstat(union.upper / "null")
    eq((info.st_rdev, info.st_uid, stat.S_IMODE(info.st_mode)), (os.makedev(1, 3), 5, 0o640))


@CASES.case([{"h": tree.sparse(64 * MIB, (0, b"start"), (32 * MIB, b"middle"))}], everywhere=True)
def holes_stay_holes(union: Union) -> None:
    with opened(union.top / "h", os.O_RDWR) as fd:
        os.pwrite(fd, b"S", 0)
    info = os.lstat(union.upper / "h")
    eq(info.st_size, 64 * MIB)
    assert info.st_blocks * 512 <= 4 * MIB, f"{info.st_blocks} blocks"
    with opened(union.top / "h", os.O_RDONLY) as fd:
        eq((os.pread(fd, 5, 0), os.pread(fd, 6, 32 * MIB)), (b"Start", b"middle"))


LINKED: tree.Tree = {"a": "content", "b": tree.hardlink("a"), "c": tree.hardlink("a")}


@CASES.case([LINKED])
def link_group_shares_its_copy(union: Union) -> None:
    with opened(union.top / "a", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")
    eq((read(union.top / "b"), read(union.top / "c")), (b"content+", b"content+"))
    with opened(union.top / "b", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")
    eq(read(union.top / "c"), b"content++")
    eq(len({os.lstat(union.top / name).st_ino for name in LINKED}), 1)
    eq([os.lstat(union.top / name).st_nlink for name in LINKED], [3, 3, 3])


@CASES.case([{f"f{n}": str(n) for n in range(50)}])
def work_directory_is_left_empty(union: Union) -> None:
    for number in range(50):
        with opened(union.top / f"f{number}", os.O_WRONLY | os.O_APPEND) as fd:
            os.write(fd, b"!")
    work = union.upper.parent.parent / "work"
    left = [Path(where) / name for where, _, files in os.walk(work) for name in files if "index" not in where]
    # One whiteout may stay there: others are made as links to it.
    eq([str(path) for path in left if not stat.S_ISCHR(os.lstat(path).st_mode)], [])


@CASES.case([{"f": tree.file("x", mode=0o444)}])
def read_only_file_is_copied_for_its_owner(union: Union) -> None:
    os.chmod(union.top / "f", 0o644)
    with opened(union.top / "f", os.O_WRONLY) as fd:
        os.write(fd, b"y")
    eq(read(union.upper / "f"), b"y")


@CASES.case([{"f": "x"}])
def failed_changes_copy_nothing(union: Union) -> None:
    with fails(errno.EEXIST):
        os.open(union.top / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with fails(errno.ENOTDIR):
        os.rmdir(union.top / "f")
    with fails(errno.ENODATA):
        os.removexattr(union.top / "f", "user.none")
    assert_on(union.upper, "f", "absent")
