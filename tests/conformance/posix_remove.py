"""Removing: open files, working directories, full directories."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import Steps, eq, exists, fails, names, opened, pattern, put, read
from tests.support import tree

CASES = Table()
FULL: tree.Tree = {
    **{f"d/{a}{b}": f"{a}{b}" for a in "abc" for b in "123"},
    "d/e/": tree.directory(),
    "d/e/f": "x",
}


@CASES.case({"f": pattern(200_000), "g": "other"}, everywhere=True)
def unlinked_file_lives_while_it_is_open(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        os.unlink(top / "f")
        assert not exists(top / "f")
        eq(os.fstat(fd).st_nlink, 0)
        eq(os.pread(fd, 10, 100_000), pattern(200_000)[100_000:100_010])
        os.pwrite(fd, b"still", 0)
        os.ftruncate(fd, 5)
        os.fchmod(fd, 0o600)
        eq(os.pread(fd, 99, 0), b"still")
        eq(os.fstat(fd).st_mode & 0o7777, 0o600)
        os.fsync(fd)
        put(top / "f", "a new one")
        eq(os.pread(fd, 99, 0), b"still")
    eq(read(top / "f"), b"a new one")


@CASES.case({"f": "lower content"})
def unlinked_file_open_for_reading_can_be_changed(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as fd:
        os.unlink(top / "f")
        eq(os.pread(fd, 99, 0), b"lower content")
        os.fchmod(fd, 0o640)
        os.utime(fd, ns=(10**18, 10**18))
        info = os.fstat(fd)
        eq((info.st_mode & 0o7777, info.st_mtime_ns, info.st_nlink), (0o640, 10**18, 0))
        with opened(f"/proc/self/fd/{fd}", os.O_WRONLY) as writer:
            os.write(writer, b"CHANGED")
        eq(os.pread(fd, 99, 0), b"CHANGEDontent")
    eq(names(top), [])


@CASES.case({"d/": tree.directory(), "d/f": "x"})
def removed_working_directory_is_empty_and_refuses(top: Path) -> None:
    os.chdir(top / "d")
    os.unlink("f")
    os.rmdir(top / "d")
    eq(os.listdir("."), [])
    with fails(errno.ENOENT):
        put(Path("new"))
    with fails(errno.ENOENT):
        os.mkdir("new")
    with fails(errno.ENOENT):
        os.getcwd()
    os.chdir(top)
    eq(names(top), [])


@CASES.case({"d/": tree.directory(), "d/f": "x"})
def removed_open_directory_can_be_made_again(top: Path) -> None:
    with opened(top / "d", os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.unlink(top / "d" / "f")
        os.rmdir(top / "d")
        os.mkdir(top / "d")
        put(top / "d" / "new")
        eq(os.listdir(fd), [])
        with fails(errno.ENOENT):
            os.open("new", os.O_RDONLY, dir_fd=fd)
    eq(names(top / "d"), ["new"])


@CASES.case(FULL)
def full_directory_is_not_removed(top: Path) -> None:
    with fails(errno.ENOTEMPTY):
        os.rmdir(top / "d")
    with fails(errno.ENOTEMPTY):
        os.rmdir(top / "d" / "e")
    eq(len(names(top / "d")), 10)


@CASES.case(FULL, everywhere=True)
def whole_tree_is_removed_and_made_again(top: Path) -> None:
    shutil.rmtree(top / "d")
    eq(names(top), [])
    os.mkdir(top / "d")
    eq(names(top / "d"), [])
    os.mkdir(top / "d" / "e")
    eq(names(top / "d" / "e"), [])
    put(top / "d" / "a1", "new")
    eq(names(top / "d"), ["a1", "e"])
    shutil.rmtree(top / "d")
    eq(names(top), [])
    os.mkdir(top / "d")
    eq(names(top / "d"), [])
    os.rmdir(top / "d")


@CASES.case({"f": "x", "d/": tree.directory()})
def removing_what_is_not_there(top: Path) -> None:
    os.unlink(top / "f")
    os.rmdir(top / "d")
    for name in ("f", "d", "never"):
        with fails(errno.ENOENT):
            os.unlink(top / name)
        with fails(errno.ENOENT):
            os.rmdir(top / name)


@CASES.case({"x": "file", "y/": tree.directory()})
def names_change_their_type(top: Path) -> None:
    for _ in range(3):
        os.unlink(top / "x")
        os.mkdir(top / "x")
        os.rmdir(top / "y")
        put(top / "y", "file")
        eq((names(top / "x"), read(top / "y")), ([], b"file"))
        os.rmdir(top / "x")
        os.symlink("y", top / "x")
        eq(read(top / "x"), b"file")
        os.unlink(top / "x")
        put(top / "x", "file")
        os.unlink(top / "y")
        os.mkdir(top / "y")
    eq(names(top), ["x", "y"])


@CASES.case({"base/": tree.directory()})
def heavy_create_rename_unlink_hides_nothing(top: Path) -> None:
    base = top / "base"
    for turn in range(10):
        for number in range(60):
            put(base / f"t{number}", str(turn))
            os.rename(base / f"t{number}", base / f"f{number}")
        eq(len(names(base)), 60)
        for number in range(0, 60, 2):
            os.unlink(base / f"f{number}")
        eq(names(base), sorted(f"f{n}" for n in range(1, 60, 2)))
        for number in range(1, 60, 2):
            assert exists(base / f"f{number}")
            eq(read(base / f"f{number}"), str(turn).encode())
    shutil.rmtree(base)


@CASES.case({"f": "x", "d/": tree.directory()})
def removal_touches_the_parent(top: Path) -> None:
    steps: Steps = (lambda: os.unlink(top / "f"), lambda: os.rmdir(top / "d"))
    for remove in steps:
        os.utime(top, ns=(10**18, 10**18))
        remove()
        assert os.stat(top).st_mtime_ns > 10**18
