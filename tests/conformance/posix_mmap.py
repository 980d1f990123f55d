"""Memory maps, and programs that live on them."""

from __future__ import annotations

import mmap
import os
import sqlite3
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, forked, opened, pattern, put, read
from tests.support import tree

CASES = Table()
PAGE = 4096


@CASES.case({"f": pattern(10 * PAGE + 17)}, everywhere=True)
def private_maps_read_and_keep_to_themselves(top: Path) -> None:
    with (
        opened(top / "f", os.O_RDONLY) as fd,
        mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as view,
    ):
        eq(view[:], pattern(10 * PAGE + 17))
        view[5:8] = b"own"
        eq(os.pread(fd, 3, 5), pattern(8)[5:])
    eq(read(top / "f"), pattern(10 * PAGE + 17))


@CASES.case({"f": pattern(10 * PAGE)}, everywhere=True)
def shared_maps_reach_the_file(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd, mmap.mmap(fd, 0) as view:
        view[PAGE : PAGE + 6] = b"mapped"
        view.flush()
        eq(os.pread(fd, 6, PAGE), b"mapped")
    expected = bytearray(pattern(10 * PAGE))
    expected[PAGE : PAGE + 6] = b"mapped"
    eq(read(top / "f"), bytes(expected))


@CASES.case({"f": pattern(3 * PAGE)})
def shared_maps_and_calls_see_each_other(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd, mmap.mmap(fd, 0) as view:
        for step in range(20):
            view[100] = step
            eq(os.pread(fd, 1, 100), bytes([step]), f"read after store {step}")
            os.pwrite(fd, bytes([200 + step]), 2 * PAGE)
            eq(view[2 * PAGE], 200 + step, f"load after write {step}")


@CASES.case(everywhere=True)
def maps_and_readers_see_what_the_creator_writes(top: Path) -> None:
    with opened(top / "f", os.O_WRONLY | os.O_CREAT | os.O_EXCL) as out, opened(top / "f", os.O_RDWR) as fd:
        os.write(out, pattern(PAGE + 100))
        eq(os.pread(fd, 2 * PAGE, 0), pattern(PAGE + 100))
        with mmap.mmap(fd, 0) as view:
            for step in range(20):
                view[7] = step  # dirty when the writer comes
                os.pwrite(out, bytes([100 + step]), PAGE + step)
                os.write(out, b"tail")
                eq((view[7], view[PAGE + step]), (step, 100 + step), f"load after write {step}")
                eq(os.pread(fd, 4, PAGE + 100 + 4 * step), b"tail", f"read after write {step}")
            os.pwrite(out, b"over", 5)
            eq(view[5:9], b"over")
    expected = bytearray(pattern(PAGE + 100))
    expected[5:9] = b"over"
    expected[PAGE : PAGE + 20] = bytes(range(100, 120))
    eq(read(top / "f"), bytes(expected) + b"tail" * 20)


@CASES.case({"f": bytes(PAGE)})
def shared_maps_of_two_processes_agree(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd, mmap.mmap(fd, 0) as view:

        def child() -> None:
            with opened(top / "f", os.O_RDWR) as other, mmap.mmap(other, 0) as theirs:
                eq(theirs[:4], b"ping")
                theirs[:4] = b"pong"

        view[:4] = b"ping"
        forked(child)
        eq(view[:4], b"pong")


@CASES.case({"f": pattern(2 * PAGE)})
def map_stays_after_close_and_unlink(top: Path) -> None:
    fd = os.open(top / "f", os.O_RDWR)
    view = mmap.mmap(fd, 0)
    os.close(fd)
    os.unlink(top / "f")
    eq(view[:], pattern(2 * PAGE))
    view[0:3] = b"new"
    view.flush()
    eq(view[:3], b"new")
    view.close()


@CASES.case({"f": pattern(2 * PAGE)})
def map_of_a_reader_survives_copy_up_by_another(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as fd, mmap.mmap(fd, 0, prot=mmap.PROT_READ) as view:
        eq(view[:10], pattern(10))
        with opened(top / "f", os.O_RDWR) as writer:
            os.pwrite(writer, b"W" * 10, PAGE)
        eq(view[:10], pattern(10))
        eq(os.fstat(fd).st_size, 2 * PAGE)
    eq(read(top / "f")[PAGE : PAGE + 10], b"W" * 10)


@CASES.case({"lib": tree.file(pattern(PAGE), mode=0o755)})
def executable_maps_are_allowed(top: Path) -> None:
    with (
        opened(top / "lib", os.O_RDONLY) as fd,
        mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC) as view,
    ):
        eq(view[:], pattern(PAGE))


@CASES.case({"f": "tail"})
def bytes_behind_the_end_are_zero(top: Path) -> None:
    with (
        opened(top / "f", os.O_RDWR) as fd,
        mmap.mmap(fd, PAGE) if os.fstat(fd).st_size >= PAGE else _grown(fd) as view,
    ):
        eq(view[4:PAGE], bytes(PAGE - 4))


def _grown(fd: int) -> mmap.mmap:
    os.ftruncate(fd, PAGE)
    return mmap.mmap(fd, PAGE)


@CASES.case({"f": bytes(64 * PAGE)}, everywhere=True)
def msync_writes_every_page(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd, mmap.mmap(fd, 0) as view:
        for page in range(64):
            view[page * PAGE] = page
        view.flush(0, 32 * PAGE)
        view.flush()
    data = read(top / "f")
    eq([data[page * PAGE] for page in range(64)], list(range(64)))


@CASES.case({"same1/lib": pattern(5 * PAGE, 1), "same2/lib": pattern(5 * PAGE, 2)})
def libraries_in_two_directories_are_not_mixed_up(top: Path) -> None:
    views = []
    for name in ("same1", "same2"):
        with opened(top / name / "lib", os.O_RDONLY) as fd:
            views.append(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
    eq(views[0][:], pattern(5 * PAGE, 1))
    eq(views[1][:], pattern(5 * PAGE, 2))
    for view in views:
        view.close()


def _rows(path: Path, count: int, *, journal: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"pragma journal_mode={journal}")
        db.execute("create table if not exists t (k integer primary key, v blob)")
        db.executemany("insert or replace into t values (?, ?)", ((n, pattern(900, n)) for n in range(count)))
    db.close()


def _database(journal: str, top: Path) -> None:
    path = top / "db"
    with sqlite3.connect(path) as db:
        for turn in range(3):
            db.execute("update t set v = ? where k % 3 = ?", (pattern(1200, turn), turn))
            db.execute("delete from t where k % 17 = ?", (turn,))
            db.commit()
        db.execute("vacuum")
        eq(db.execute("pragma integrity_check").fetchone(), ("ok",))
    db.close()
    with sqlite3.connect(path) as db:
        eq(db.execute("pragma integrity_check").fetchone(), ("ok",))
        for turn in range(3):
            (wrong,) = db.execute(
                "select count(*) from t where k % 3 = ? and v <> ?", (turn, pattern(1200, turn))
            )
            eq(wrong[0], 0)
    db.close()
    _rows(path, 900, journal=journal)
    with sqlite3.connect(path) as db:
        eq(db.execute("select count(*) from t").fetchone(), (900,))
        eq(db.execute("pragma integrity_check").fetchone(), ("ok",))
    db.close()


def _ready(count: int) -> bytes:
    db = sqlite3.connect(":memory:")
    with db:
        db.execute("create table t (k integer primary key, v blob)")
        db.executemany("insert into t values (?, ?)", ((n, pattern(900, n)) for n in range(count)))
    data = db.serialize()
    db.close()
    return data


DATABASE = _ready(600)


@CASES.case({"db": DATABASE}, everywhere=True)
def sqlite_database_rewritten_with_a_journal(top: Path) -> None:
    _database("delete", top)


@CASES.case({"db": DATABASE}, everywhere=True)
def sqlite_database_rewritten_with_a_wal(top: Path) -> None:
    with sqlite3.connect(top / "db") as db:
        eq(db.execute("pragma journal_mode=wal").fetchone(), ("wal",))
        db.execute("pragma mmap_size=10000000")
    db.close()
    _database("wal", top)


@CASES.case({"db": DATABASE, "db2": tree.hardlink("db")})
def sqlite_database_with_two_names(top: Path) -> None:
    with sqlite3.connect(top / "db") as db:
        db.execute("update t set v = ?", (pattern(1200),))
    db.close()
    eq(read(top / "db"), read(top / "db2"))
    with sqlite3.connect(top / "db2") as db:
        eq(db.execute("pragma integrity_check").fetchone(), ("ok",))
        eq(db.execute("select count(*) from t where v = ?", (pattern(1200),)).fetchone(), (600,))
    db.close()


@CASES.case()
def map_of_a_new_file_grows_with_it(top: Path) -> None:
    put(top / "f")
    with opened(top / "f", os.O_RDWR) as fd:
        os.ftruncate(fd, PAGE)
        with mmap.mmap(fd, PAGE) as view:
            view[:] = b"a" * PAGE
            os.ftruncate(fd, 3 * PAGE)
            view.resize(3 * PAGE)
            view[2 * PAGE :] = b"c" * PAGE
    eq(read(top / "f"), b"a" * PAGE + bytes(PAGE) + b"c" * PAGE)
