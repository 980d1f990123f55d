"""Reading and writing: offsets, holes, sizes, ranges."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, fails, opened, pattern, put, read
from tests.support import tree
from tests.support.syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE, fallocate, syncfs

CASES = Table()
BIG = 3_000_017  # several FUSE requests, no multiple of anything
MIB = 1 << 20


@CASES.case({"f": pattern(BIG)}, everywhere=True)
def large_files_read_back(top: Path) -> None:
    eq(read(top / "f"), pattern(BIG))
    with opened(top / "f", os.O_RDONLY) as fd:
        for offset in (0, 1, 4095, 131_071, 1_048_575, BIG - 1, BIG, BIG + 5):
            eq(os.pread(fd, 5000, offset), pattern(BIG)[offset : offset + 5000], f"at {offset}")


@CASES.case({"f": pattern(BIG)}, everywhere=True)
def overwriting_in_the_middle_keeps_the_rest(top: Path) -> None:
    model = bytearray(pattern(BIG))
    with opened(top / "f", os.O_RDWR) as fd:
        for offset, size in ((1, 1), (4095, 2), (500_000, 70_000), (BIG - 3, 10), (131_072, 131_072)):
            data = pattern(size, seed=offset % 17 + 2)
            eq(os.pwrite(fd, data, offset), size)
            model[offset : offset + size] = data
        eq(os.fstat(fd).st_size, len(model))
    eq(read(top / "f"), bytes(model))


@CASES.case()
def many_small_writes_add_up(top: Path) -> None:
    put(top / "f")
    with opened(top / "f", os.O_WRONLY) as fd:
        for number in range(1000):
            eq(os.write(fd, b"%05d" % number), 5)
    eq(read(top / "f"), b"".join(b"%05d" % n for n in range(1000)))


@CASES.case({"f": "0123456789"})
def vectors_read_and_write(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        parts = [bytearray(3), bytearray(4), bytearray(9)]
        eq(os.readv(fd, parts), 10)
        eq([bytes(p) for p in parts], [b"012", b"3456", b"789" + bytes(6)])
        eq(os.pwritev(fd, [b"ab", b"", b"cde"], 8), 5)
    eq(read(top / "f"), b"01234567abcde")


@CASES.case({"f": "tail"})
def writing_far_behind_the_end_leaves_zeros(top: Path) -> None:
    with opened(top / "f", os.O_WRONLY) as fd:
        os.pwrite(fd, b"end", 100_000)
    data = read(top / "f")
    eq(len(data), 100_003)
    eq((data[:4], data[4:100_000].strip(b"\0"), data[100_000:]), (b"tail", b"", b"end"))


@CASES.case({"holes": tree.sparse(12 * MIB, (MIB, b"one"), (6 * MIB, b"two"))}, everywhere=True)
def holes_are_found(top: Path) -> None:
    with opened(top / "holes", os.O_RDWR) as fd:
        first = os.lseek(fd, 0, os.SEEK_DATA)
        assert 0 < first <= MIB, first
        hole = os.lseek(fd, MIB, os.SEEK_HOLE)
        assert MIB + 3 <= hole <= 6 * MIB, hole
        second = os.lseek(fd, hole, os.SEEK_DATA)
        assert hole < second <= 6 * MIB, second
        with fails(errno.ENXIO):
            os.lseek(fd, 12 * MIB, os.SEEK_DATA)
        with fails(errno.ENXIO):
            os.lseek(fd, 11 * MIB, os.SEEK_DATA)
        eq(os.lseek(fd, -3, os.SEEK_END), 12 * MIB - 3)


@CASES.case({"holes": tree.sparse(8 * MIB, (5 * MIB, b"data"))}, everywhere=True)
def holes_survive_a_small_write(top: Path) -> None:
    with opened(top / "holes", os.O_RDWR) as fd:
        os.pwrite(fd, b"x", 0)
    info = os.stat(top / "holes")
    eq(info.st_size, 8 * MIB)
    assert info.st_blocks * 512 < 3 * MIB, f"{info.st_blocks} blocks"
    eq(read(top / "holes")[5 * MIB - 1 : 5 * MIB + 5], b"\0data\0")


@CASES.case({"f": pattern(300_000)}, everywhere=True)
def truncate_down_and_up_zeroes(top: Path) -> None:
    os.truncate(top / "f", 100_001)
    eq(read(top / "f"), pattern(300_000)[:100_001])
    os.truncate(top / "f", 200_000)
    eq(read(top / "f"), pattern(300_000)[:100_001] + bytes(99_999))
    os.truncate(top / "f", 0)
    eq(read(top / "f"), b"")
    os.truncate(top / "f", 10)
    eq(read(top / "f"), bytes(10))


@CASES.case({"f": pattern(9000), "d/": tree.directory()})
def ftruncate_is_seen_by_others(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as one, opened(top / "f", os.O_RDONLY) as two:
        os.pread(two, 9000, 0)
        os.ftruncate(one, 5)
        eq(os.fstat(two).st_size, 5)
        eq(os.pread(two, 9000, 0), pattern(9000)[:5])
        os.ftruncate(one, 4100)
        eq(os.pread(two, 9000, 0), pattern(9000)[:5] + bytes(4095))
    with fails(errno.EISDIR):
        os.truncate(top / "d", 0)
    with fails(errno.EINVAL):
        os.truncate(top / "f", -1)


@CASES.case({"f": "x"})
def files_grow_beyond_4_gib(top: Path) -> None:
    far = (1 << 32) + 12_345
    with opened(top / "f", os.O_RDWR) as fd:
        os.pwrite(fd, b"far", far)
        eq(os.fstat(fd).st_size, far + 3)
        eq(os.pread(fd, 9, far), b"far")
        eq(os.pread(fd, 3, 0), b"x\0\0")
    assert os.stat(top / "f").st_blocks * 512 < MIB


@CASES.case({"f": "start"}, everywhere=True)
def fallocate_extends(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        fallocate(fd, 0, 0, 70_000)
        eq(os.fstat(fd).st_size, 70_000)
        assert os.fstat(fd).st_blocks * 512 >= 65_536
    eq(read(top / "f"), b"start" + bytes(69_995))


@CASES.case({"f": "start"}, everywhere=True)
def fallocate_keep_size_keeps_the_size(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        fallocate(fd, FALLOC_KEEP_SIZE, 0, 200_000)
        eq(os.fstat(fd).st_size, 5)
        assert os.fstat(fd).st_blocks * 512 >= 196_608
    eq(read(top / "f"), b"start")


@CASES.case({"f": pattern(MIB)}, everywhere=True)
def fallocate_punches_holes(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        eq(os.pread(fd, 3, 300_000), pattern(MIB)[300_000:300_003])
        os.fsync(fd)
        before = os.fstat(fd).st_blocks
        fallocate(fd, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, 262_144, 524_288)
        eq(os.pread(fd, 3, 300_000), bytes(3))
        assert os.fstat(fd).st_blocks < before
        eq(os.fstat(fd).st_size, MIB)
    expected = pattern(MIB)
    eq(read(top / "f"), expected[:262_144] + bytes(524_288) + expected[786_432:])


@CASES.case({"f": pattern(MIB)}, needs=["disk"], everywhere=True)
def fallocate_zeroes_ranges(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        fallocate(fd, FALLOC_ZERO_RANGE, 1000, 5000)
        eq(os.pread(fd, 7000, 0), pattern(MIB)[:1000] + bytes(5000) + pattern(MIB)[6000:7000])
        fallocate(fd, FALLOC_ZERO_RANGE, MIB - 10, 20)
        eq(os.fstat(fd).st_size, MIB + 10)


@CASES.case({"f": "x"})
def fallocate_refuses_nonsense(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        with fails(errno.EINVAL):
            fallocate(fd, 0, 0, 0)
        with fails(errno.EINVAL):
            fallocate(fd, 0, -1, 5)
        with fails(errno.EOPNOTSUPP):
            fallocate(fd, FALLOC_PUNCH_HOLE, 0, 5)
    with opened(top / "f", os.O_RDONLY) as fd, fails(errno.EBADF):
        fallocate(fd, 0, 0, 5)


@CASES.case({"from": pattern(500_000), "to": "0123456789"}, everywhere=True)
def copy_file_range_copies(top: Path) -> None:
    with opened(top / "from", os.O_RDONLY) as source, opened(top / "to", os.O_RDWR) as sink:
        left, at = 400_000, 0
        while left:
            count = os.copy_file_range(source, sink, left, 1000 + at, 5 + at)
            assert count > 0
            left, at = left - count, at + count
        eq(os.copy_file_range(source, sink, 10, 500_000, 0), 0)
    eq(read(top / "to"), b"01234" + pattern(500_000)[1000:401_000])


@CASES.case({"f": pattern(10_000)})
def copy_file_range_within_one_file(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        eq(os.copy_file_range(fd, fd, 1000, 0, 20_000), 1000)
        with fails(errno.EINVAL):
            os.copy_file_range(fd, fd, 1000, 0, 500)
    data = read(top / "f")
    eq((len(data), data[20_000:]), (21_000, pattern(10_000)[:1000]))


@CASES.case({"from": pattern(200_000), "to": ""})
def sendfile_and_splice_carry_data(top: Path) -> None:
    reader, writer = os.pipe()
    with opened(top / "from", os.O_RDONLY) as source, opened(top / "to", os.O_WRONLY) as sink:
        eq(os.sendfile(sink, source, 0, 100_000), 100_000)
        done = 0
        while done < 100_000:
            count = os.splice(source, writer, min(65_536, 100_000 - done), offset_src=100_000 + done)
            moved = 0
            while moved < count:
                moved += os.splice(reader, sink, count - moved, offset_dst=100_000 + done + moved)
            done += count
    os.close(reader)
    os.close(writer)
    eq(read(top / "to"), pattern(200_000))


@CASES.case({"f": "x", "d/": tree.directory(), "d/g": "y"}, everywhere=True)
def everything_can_be_synced(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        os.write(fd, b"new")
        os.fsync(fd)
        os.fdatasync(fd)
    for name in ("d", "."):
        with opened(top / name, os.O_RDONLY | os.O_DIRECTORY) as fd:
            os.fsync(fd)
            syncfs(fd)
    with opened(top / "d" / "g", os.O_RDONLY) as fd:
        os.fsync(fd)
    with opened(top / "f", os.O_WRONLY | os.O_SYNC) as fd:
        os.write(fd, b"sync")
    eq(read(top / "f"), b"sync")


@CASES.case({"f": pattern(100)})
def seeking_is_refused_where_native_refuses(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as fd:
        with fails(errno.EINVAL):
            os.lseek(fd, -1, os.SEEK_SET)
        with fails(errno.ENXIO):
            os.lseek(fd, 101, os.SEEK_HOLE)
        eq(os.lseek(fd, 5, os.SEEK_HOLE), 100)
        eq(os.lseek(fd, 5, os.SEEK_DATA), 5)
        eq(os.lseek(fd, 1 << 40, os.SEEK_SET), 1 << 40)
        eq(os.read(fd, 5), b"")
    with opened(top, os.O_RDONLY) as fd, fails(errno.EISDIR):
        os.read(fd, 5)
