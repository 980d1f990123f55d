"""Renaming, with and without flags."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, exists, fails, names, opened, put, read
from tests.support import tree
from tests.support.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2

CASES = Table()
FILES: tree.Tree = {"a": "A", "b": "B", "c": "C"}
DIRS: tree.Tree = {
    "from/": tree.directory(mode=0o750),
    "from/f": "x",
    "from/deep/": tree.directory(),
    "from/deep/g": "y",
    "from/deep/h": "z",
    "empty/": tree.directory(),
    "full/": tree.directory(),
    "full/x": "1",
}


@CASES.case(FILES, everywhere=True)
def file_to_a_new_name(top: Path) -> None:
    before = os.stat(top / "a")
    os.rename(top / "a", top / "new")
    eq(names(top), ["b", "c", "new"])
    eq(read(top / "new"), b"A")
    eq(os.stat(top / "new").st_ino, before.st_ino)
    with fails(errno.ENOENT):
        os.rename(top / "a", top / "b")


@CASES.case(FILES, everywhere=True)
def file_over_a_file(top: Path) -> None:
    with opened(top / "b", os.O_RDONLY) as fd:
        os.rename(top / "a", top / "b")
        eq(os.read(fd, 9), b"B")
        eq(os.fstat(fd).st_nlink, 0)
    os.rename(top / "c", top / "b")
    eq((names(top), read(top / "b")), (["b"], b"C"))
    eq(os.stat(top / "b").st_nlink, 1)
    os.unlink(top / "b")
    eq(names(top), [])


@CASES.case(FILES | DIRS)
def file_and_directory_do_not_replace_each_other(top: Path) -> None:
    with fails(errno.EISDIR):
        os.rename(top / "a", top / "empty")
    with fails(errno.ENOTDIR):
        os.rename(top / "empty", top / "a")
    eq(read(top / "a"), b"A")


@CASES.case(DIRS)
def directory_over_a_full_directory(top: Path) -> None:
    for old, new in (("empty", "full"), ("empty", "from")):
        with fails(errno.ENOTEMPTY, errno.EEXIST):
            os.rename(top / old, top / new)
    eq(names(top / "full"), ["x"])
    eq(names(top / "from"), ["deep", "f"])


@CASES.case(DIRS, everywhere=True)
def existing_directory_to_a_new_name(top: Path) -> None:
    inode = os.stat(top / "from").st_ino
    os.rename(top / "from", top / "to")
    eq(names(top), ["empty", "full", "to"])
    eq((names(top / "to"), names(top / "to" / "deep")), (["deep", "f"], ["g", "h"]))
    eq((read(top / "to" / "f"), read(top / "to" / "deep" / "g")), (b"x", b"y"))
    info = os.stat(top / "to")
    eq((info.st_ino, stat.S_IMODE(info.st_mode)), (inode, 0o750))


@CASES.case(DIRS)
def renamed_directory_is_lived_in(top: Path) -> None:
    os.rename(top / "from", top / "to")
    put(top / "to" / "new", "n")
    os.unlink(top / "to" / "deep" / "g")
    with opened(top / "to" / "deep" / "h", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")
    os.mkdir(top / "from")
    eq(names(top / "from"), [])
    os.rename(top / "to" / "deep", top / "from" / "deep")
    os.rename(top / "to", top / "from" / "deep" / "in")
    eq(names(top / "from" / "deep"), ["h", "in"])
    eq(names(top / "from" / "deep" / "in"), ["f", "new"])
    eq(read(top / "from" / "deep" / "h"), b"z+")


@CASES.case(DIRS)
def existing_directory_over_an_empty_one(top: Path) -> None:
    os.rename(top / "from", top / "empty")
    eq(names(top), ["empty", "full"])
    eq(names(top / "empty"), ["deep", "f"])


@CASES.case(DIRS)
def existing_directory_into_another(top: Path) -> None:
    os.rename(top / "from", top / "full" / "in")
    eq(names(top / "full"), ["in", "x"])
    eq(read(top / "full" / "in" / "deep" / "h"), b"z")
    eq(os.stat(f"{top}/full/in/..").st_ino, os.stat(top / "full").st_ino)


@CASES.case()
def new_directory_moves_with_its_content(top: Path) -> None:
    os.makedirs(top / "n" / "m")
    put(top / "n" / "m" / "f", "x")
    os.mkdir(top / "other")
    os.rename(top / "n", top / "other" / "n")
    eq(read(top / "other" / "n" / "m" / "f"), b"x")
    os.mkdir(top / "n")
    os.rename(top / "other" / "n", top / "n")
    eq((names(top / "n"), names(top / "other")), (["m"], []))


@CASES.case(DIRS)
def directory_into_itself(top: Path) -> None:
    for new in ("from/in", "from/deep/in"):
        with fails(errno.EINVAL):
            os.rename(top / "from", top / new)
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(top / "from" / "deep", top / "from")
    os.rename(top / "from", top / "from")
    eq(names(top / "from"), ["deep", "f"])


@CASES.case({"a": "A", "b": tree.hardlink("a")}, everywhere=True)
def two_names_of_one_file_do_nothing(top: Path) -> None:
    os.rename(top / "a", top / "b")
    eq(names(top), ["a", "b"])


@CASES.case(FILES | DIRS)
def noreplace_keeps_what_is_there(top: Path) -> None:
    for old, new in (("a", "b"), ("a", "empty"), ("empty", "full"), ("full", "a")):
        with fails(errno.EEXIST):
            renameat2(top / old, top / new, RENAME_NOREPLACE)
    renameat2(top / "a", top / "new", RENAME_NOREPLACE)
    eq((exists(top / "a"), read(top / "new")), (False, b"A"))
    renameat2(top / "new", top / "a", RENAME_NOREPLACE)


@CASES.case(FILES)
def noreplace_takes_a_removed_name(top: Path) -> None:
    os.unlink(top / "b")
    renameat2(top / "a", top / "b", RENAME_NOREPLACE)
    eq((names(top), read(top / "b")), (["b", "c"], b"A"))


@CASES.case(FILES, everywhere=True)
def exchange_swaps_files(top: Path) -> None:
    inodes = os.stat(top / "a").st_ino, os.stat(top / "b").st_ino
    renameat2(top / "a", top / "b", RENAME_EXCHANGE)
    eq((read(top / "a"), read(top / "b")), (b"B", b"A"))
    eq((os.stat(top / "b").st_ino, os.stat(top / "a").st_ino), inodes)
    with fails(errno.ENOENT):
        renameat2(top / "a", top / "none", RENAME_EXCHANGE)


@CASES.case(FILES | DIRS)
def exchange_swaps_directories_and_files(top: Path) -> None:
    renameat2(top / "from", top / "full", RENAME_EXCHANGE)
    eq((names(top / "from"), names(top / "full")), (["x"], ["deep", "f"]))
    renameat2(top / "a", top / "full", RENAME_EXCHANGE)
    eq((read(top / "full"), names(top / "a")), (b"A", ["deep", "f"]))
    with fails(errno.EINVAL):
        renameat2(top / "a", top / "a" / "deep", RENAME_EXCHANGE)
    os.unlink(top / "full")
    eq(names(top / "a" / "deep"), ["g", "h"])


@CASES.case(FILES)
def exclusive_flags_are_refused_together(top: Path) -> None:
    with fails(errno.EINVAL):
        renameat2(top / "a", top / "b", RENAME_EXCHANGE | RENAME_NOREPLACE)
    with fails(errno.EINVAL):
        renameat2(top / "a", top / "b", 0x40)


@CASES.case({"s": tree.symlink("nowhere"), "p": tree.fifo(), "d/": tree.directory()})
def other_types_move(top: Path) -> None:
    os.rename(top / "s", top / "d" / "s")
    os.rename(top / "p", top / "d" / "p")
    eq(os.readlink(top / "d" / "s"), "nowhere")
    assert stat.S_ISFIFO(os.lstat(top / "d" / "p").st_mode)
    os.rename(top / "d" / "s", top / "d" / "p")
    eq(names(top / "d"), ["p"])


@CASES.case(FILES)
def open_file_follows_its_rename(top: Path) -> None:
    with opened(top / "a", os.O_RDWR) as fd:
        os.mkdir(top / "d")
        os.rename(top / "a", top / "d" / "moved")
        os.pwrite(fd, b"new", 0)
        eq(read(top / "d" / "moved"), b"new")
        os.rename(top / "b", top / "d" / "moved")
        eq(os.pread(fd, 9, 0), b"new")
    eq(read(top / "d" / "moved"), b"B")


@CASES.case(DIRS)
def working_directory_follows_its_rename(top: Path) -> None:
    os.chdir(top / "from" / "deep")
    os.rename(top / "from", top / "to")
    eq(os.getcwd(), str(top / "to" / "deep"))
    put(Path("made"), "here")
    eq(read(top / "to" / "deep" / "made"), b"here")
    eq(sorted(os.listdir(".")), ["g", "h", "made"])


@CASES.case(FILES | DIRS)
def rename_touches_both_parents(top: Path) -> None:
    for name in (".", "full"):
        os.utime(top / name, ns=(10**18, 10**18))
    changed = os.stat(top / "a").st_ctime_ns
    os.rename(top / "a", top / "full" / "a")
    for name in (".", "full"):
        assert os.stat(top / name).st_mtime_ns > 10**18, name
    assert os.stat(top / "full" / "a").st_ctime_ns >= changed


@CASES.case(FILES, needs=["device"])
def whiteout_flag_hides_the_old_name(top: Path) -> None:
    try:
        renameat2(top / "a", top / "moved", RENAME_WHITEOUT)
    except OSError as exc:
        eq(exc.errno, errno.EINVAL)  # overlayfs and its like may refuse
        eq(read(top / "a"), b"A")
        return
    eq(read(top / "moved"), b"A")
    if exists(top / "a"):  # a plain directory shows the device, a union does not
        info = os.lstat(top / "a")
        eq((stat.S_IFMT(info.st_mode), info.st_rdev), (stat.S_IFCHR, 0))
