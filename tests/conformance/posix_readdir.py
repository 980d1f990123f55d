"""Listing directories."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, names, put
from tests.support import tree
from tests.support.syscalls import Directory

CASES = Table()
TYPES: tree.Tree = {
    "file": "x",
    "dir/": tree.directory(),
    "dir/in": "y",
    "link": tree.symlink("file"),
    "pipe": tree.fifo(),
    "sock": tree.sock(),
    "twin": tree.hardlink("file"),
}
SOME: tree.Tree = {f"d/n{n:03d}": str(n) for n in range(300)}
MANY = 10_000


def _list(path: Path) -> list[bytes]:
    stream = Directory(path)
    found = [entry.name for entry in stream.rest()]
    stream.close()
    return found


@CASES.case(TYPES, everywhere=True)
def types_and_inodes_equal_lstat(top: Path) -> None:
    stream = Directory(top)
    entries = stream.rest()
    stream.close()
    shown = [name.rstrip("/").encode() for name in TYPES if "/in" not in name]
    eq(sorted(e.name for e in entries if e.name not in (b".", b"..")), sorted(shown))
    for entry in entries:
        if entry.name == b"..":
            continue
        info = os.lstat(os.fsencode(top) + b"/" + entry.name)
        eq(entry.kind << 12, stat.S_IFMT(info.st_mode), repr(entry.name))
        eq(entry.ino, info.st_ino, repr(entry.name))


@CASES.case(TYPES)
def inodes_equal_lstat_after_change(top: Path) -> None:
    os.chmod(top / "file", 0o600)
    os.chmod(top / "dir", 0o700)
    os.rename(top / "link", top / "dir" / "moved")
    put(top / "new")
    for where in (top, top / "dir"):
        for entry in os.scandir(where):
            eq(entry.inode(), os.lstat(entry.path).st_ino, entry.name)


@CASES.case(needs=["fast"])
def ten_thousand_entries_are_listed_once(top: Path) -> None:
    os.mkdir(top / "big")
    for number in range(MANY):
        os.mknod(top / "big" / f"entry-{number}")
    eq(names(top / "big"), sorted(f"entry-{n}" for n in range(MANY)))
    for number in range(MANY):
        os.unlink(top / "big" / f"entry-{number}")
    os.rmdir(top / "big")


@CASES.case({f"big/e{n:04d}": "" for n in range(1000)})
def a_thousand_entries_lose_every_second(top: Path) -> None:
    for number in range(0, 1000, 2):
        os.unlink(top / "big" / f"e{number:04d}")
    eq(names(top / "big"), [f"e{n:04d}" for n in range(1, 1000, 2)])


@CASES.case(SOME, everywhere=True)
def seekdir_returns_to_every_place(top: Path) -> None:
    stream = Directory(top / "d")
    places, order = [], []
    while True:
        places.append(stream.tell())
        entry = stream.read()
        if entry is None:
            break
        order.append(entry.name)
    eq(len(set(order)), 302)
    eq(len(set(places)), 303)
    for index in (250, 1, 299, 0, 150, 301):
        stream.seek(places[index])
        eq([e.name for e in stream.rest()], order[index:], f"from {index}")
    stream.close()


@CASES.case(SOME, everywhere=True)
def seekdir_survives_changes(top: Path) -> None:
    stream = Directory(top / "d")
    for _ in range(100):
        stream.read()
    place = stream.tell()
    rest = {e.name for e in stream.rest()}
    gone = sorted(rest - {b".", b".."})[:50]
    for name in gone:
        os.unlink(os.fsencode(top / "d") + b"/" + name)
    put(top / "d" / "added")
    stream.seek(place)
    again = [e.name for e in stream.rest()]
    eq(len(again), len(set(again)))
    missing = rest - set(gone) - set(again)
    eq(missing, set())
    stream.close()


@CASES.case(SOME)
def rewind_shows_the_present(top: Path) -> None:
    stream = Directory(top / "d")
    eq(len(stream.rest()), 302)
    put(top / "d" / "new")
    os.unlink(top / "d" / "n000")
    stream.rewind()
    found = {e.name for e in stream.rest()}
    assert b"new" in found
    assert b"n000" not in found
    stream.close()


@CASES.case(SOME, everywhere=True)
def deleting_while_iterating_deletes_all(top: Path) -> None:
    stream = Directory(top / "d")
    seen = []
    while (entry := stream.read()) is not None:
        if entry.name in (b".", b".."):
            continue
        seen.append(entry.name)
        os.unlink(os.fsencode(top / "d") + b"/" + entry.name)
    stream.close()
    eq((len(seen), len(set(seen))), (300, 300))
    os.rmdir(top / "d")


@CASES.case(SOME)
def creating_while_iterating_repeats_nothing(top: Path) -> None:
    stream = Directory(top / "d")
    seen: list[bytes] = []
    while (entry := stream.read()) is not None:
        seen.append(entry.name)
        if len(seen) <= 302:
            put(top / "d" / f"extra{len(seen)}")
    stream.close()
    assert {f"n{n:03d}".encode() for n in range(300)} <= set(seen)
    eq(len(seen), len(set(seen)))


@CASES.case(SOME)
def two_streams_do_not_disturb_each_other(top: Path) -> None:
    one, two = Directory(top / "d"), Directory(top / "d")
    first = [one.read() for _ in range(50)]
    whole = [e.name for e in two.rest()]
    rest = [e.name for e in one.rest()]
    eq([e.name for e in first if e] + rest, whole)
    one.close()
    two.close()


@CASES.case(SOME)
def order_is_stable(top: Path) -> None:
    first = _list(top / "d")
    for _ in range(3):
        eq(_list(top / "d"), first)


@CASES.case({"e/": tree.directory()})
def empty_directory_has_two_entries(top: Path) -> None:
    eq(sorted(_list(top / "e")), [b".", b".."])
    os.mkdir(top / "new")
    eq(sorted(_list(top / "new")), [b".", b".."])


@CASES.case({"deep/": tree.directory()} | {f"deep/d{n}/": tree.directory() for n in range(40)})
def subdirectories_are_listed_with_their_inodes(top: Path) -> None:
    for number in range(0, 40, 2):
        os.chmod(top / "deep" / f"d{number}", 0o700)
    inodes = {entry.name: entry.inode() for entry in os.scandir(top / "deep")}
    eq(len(set(inodes.values())), 40)
    for name, inode in inodes.items():
        eq(os.stat(top / "deep" / name).st_ino, inode, name)
