"""Hard links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, fails, names, opened, pattern, put, read
from tests.support import tree

CASES = Table()
PAIR: tree.Tree = {
    "a": tree.file("content", mode=0o640),
    "b": tree.hardlink("a"),
    "d/": tree.directory(),
    "other": "o",
}


def _same(one: Path, two: Path) -> None:
    first, second = os.lstat(one), os.lstat(two)
    eq((first.st_ino, first.st_dev, first.st_nlink), (second.st_ino, second.st_dev, second.st_nlink))


@CASES.case({"f": "old", "d/": tree.directory()}, everywhere=True)
def link_to_a_file_shows_changes_under_both_names(top: Path) -> None:
    inode = os.stat(top / "f").st_ino
    os.link(top / "f", top / "d" / "l")
    eq((os.stat(top / "f").st_nlink, os.stat(top / "d" / "l").st_nlink), (2, 2))
    eq(os.stat(top / "d" / "l").st_ino, inode)
    _same(top / "f", top / "d" / "l")
    with opened(top / "d" / "l", os.O_WRONLY | os.O_TRUNC) as fd:
        os.write(fd, b"new")
    eq(read(top / "f"), b"new")
    os.chmod(top / "f", 0o600)
    eq(os.stat(top / "d" / "l").st_mode & 0o777, 0o600)


@CASES.case(PAIR, everywhere=True)
def existing_links_stay_one_file_when_changed(top: Path) -> None:
    _same(top / "a", top / "b")
    with opened(top / "a", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+more")
    eq(read(top / "b"), b"content+more")
    _same(top / "a", top / "b")
    eq(os.stat(top / "a").st_nlink, 2)


@CASES.case(PAIR)
def existing_links_stay_one_file_when_the_mode_changes(top: Path) -> None:
    os.chmod(top / "b", 0o604)
    eq(os.stat(top / "a").st_mode & 0o777, 0o604)
    os.utime(top / "a", ns=(10**18, 10**18 + 1))
    eq(os.stat(top / "b").st_mtime_ns, 10**18 + 1)
    _same(top / "a", top / "b")


@CASES.case(PAIR)
def existing_links_read_through_one_written_through_other(top: Path) -> None:
    with opened(top / "a", os.O_RDONLY) as reader, opened(top / "b", os.O_WRONLY) as writer:
        os.write(writer, b"CONTENT")
        eq(os.pread(reader, 99, 0), b"CONTENT")
    eq(read(top / "a"), b"CONTENT")


@CASES.case(PAIR, everywhere=True)
def nlink_counts_down_with_unlink(top: Path) -> None:
    eq(os.stat(top / "a").st_nlink, 2)
    with opened(top / "b", os.O_RDONLY) as fd:
        os.unlink(top / "a")
        eq(os.fstat(fd).st_nlink, 1)
        eq(os.stat(top / "b").st_nlink, 1)
        os.unlink(top / "b")
        eq(os.fstat(fd).st_nlink, 0)
        eq(os.read(fd, 99), b"content")
    eq(names(top), ["d", "other"])


@CASES.case(PAIR)
def nlink_counts_down_with_rename_over(top: Path) -> None:
    os.rename(top / "other", top / "a")
    eq((os.stat(top / "b").st_nlink, os.stat(top / "a").st_nlink), (1, 1))
    eq((read(top / "a"), read(top / "b")), (b"o", b"content"))


@CASES.case(PAIR)
def link_moves_alone(top: Path) -> None:
    os.rename(top / "a", top / "d" / "a")
    _same(top / "b", top / "d" / "a")
    with opened(top / "d" / "a", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"!")
    eq(read(top / "b"), b"content!")
    eq(os.stat(top / "b").st_nlink, 2)


@CASES.case(PAIR)
def third_name_joins_existing_links(top: Path) -> None:
    os.link(top / "b", top / "d" / "c")
    for name in ("a", "b", "d/c"):
        eq(os.stat(top / name).st_nlink, 3, name)
    with opened(top / "d" / "c", os.O_WRONLY) as fd:
        os.write(fd, b"THIRD")
    eq((read(top / "a"), read(top / "b")), (b"THIRDnt", b"THIRDnt"))


@CASES.case({"s": tree.symlink("f"), "f": "x", "p": tree.fifo()})
def link_of_a_symlink_is_the_symlink(top: Path) -> None:
    os.link(top / "s", top / "s2", follow_symlinks=False)
    eq(os.readlink(top / "s2"), "f")
    eq(os.lstat(top / "s2").st_nlink, 2)
    _same(top / "s", top / "s2")
    os.link(top / "p", top / "p2")
    _same(top / "p", top / "p2")


@CASES.case({"d/": tree.directory(), "f": "x"})
def directories_and_strange_places_are_refused(top: Path) -> None:
    with fails(errno.EPERM):
        os.link(top / "d", top / "d2")
    with fails(errno.ENOENT):
        os.link(top / "none", top / "l")
    with fails(errno.ENOENT):
        os.link(top / "f", top / "none" / "l")
    with fails(errno.ENOTDIR):
        os.link(top / "f", top / "f" / "l")
    eq(names(top), ["d", "f"])


@CASES.case({"f": pattern(100_000)})
def many_links_of_one_file(top: Path) -> None:
    for number in range(100):
        os.link(top / "f", top / f"l{number}")
    eq(os.stat(top / "f").st_nlink, 101)
    eq(len({os.stat(top / name).st_ino for name in names(top)}), 1)
    for number in range(0, 100, 2):
        os.unlink(top / f"l{number}")
    eq(os.stat(top / "l1").st_nlink, 51)
    os.truncate(top / "l1", 3)
    eq(read(top / "l99"), pattern(3))


@CASES.case({"f": "x"})
def link_while_open_and_after_unlink(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        os.link(top / "f", top / "l")
        os.unlink(top / "f")
        os.write(fd, b"new")
        eq((read(top / "l"), os.fstat(fd).st_nlink), (b"new", 1))
    put(top / "f", "another")
    eq((read(top / "l"), read(top / "f")), (b"new", b"another"))
    assert os.stat(top / "l").st_ino != os.stat(top / "f").st_ino


@CASES.case({"f": "x"})
def link_sets_ctime_and_parent_times(top: Path) -> None:
    os.utime(top, ns=(10**18, 10**18))
    before = os.stat(top / "f").st_ctime_ns
    os.link(top / "f", top / "l")
    assert os.stat(top).st_mtime_ns > 10**18
    assert os.stat(top / "f").st_ctime_ns >= before


@CASES.case({f"n{n}": (tree.hardlink("n0") if n else tree.file("shared")) for n in range(5)})
def broken_up_link_groups_stay_readable(top: Path) -> None:
    os.unlink(top / "n0")
    with opened(top / "n1", os.O_WRONLY) as fd:
        os.write(fd, b"CHANGE")
    os.unlink(top / "n2")
    eq((read(top / "n3"), read(top / "n4")), (b"CHANGE", b"CHANGE"))
    eq([os.stat(top / f"n{n}").st_nlink for n in (1, 3, 4)], [3, 3, 3])
