"""Opening, creating, executing."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import subprocess
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, exists, fails, names, opened, pattern, put, read
from tests.support import tree
from tests.support.syscalls import link_fd

CASES = Table()
BLOCK = 4096


@CASES.case({"old": "content"})
def excl_fails_on_an_existing_name(top: Path) -> None:
    put(top / "new", "x")
    for name in ("old", "new"):
        with fails(errno.EEXIST):
            os.open(top / name, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    os.symlink("nowhere", top / "dangling")
    with fails(errno.EEXIST):
        os.open(top / "dangling", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    assert not exists(top / "nowhere")


@CASES.case({"old": "content"})
def creat_without_excl_opens_what_is_there(top: Path) -> None:
    with opened(top / "old", os.O_CREAT | os.O_RDWR, 0o600) as fd:
        eq(os.read(fd, 99), b"content")
        eq(stat.S_IMODE(os.fstat(fd).st_mode), 0o644)
    with opened(top / "new", os.O_CREAT | os.O_RDWR, 0o600) as fd:
        eq(os.read(fd, 99), b"")


@CASES.case({"old": tree.file(pattern(10_000), mode=0o640)}, everywhere=True)
def trunc_empties_and_keeps_the_mode(top: Path) -> None:
    with opened(top / "old", os.O_WRONLY | os.O_TRUNC) as fd:
        eq(os.fstat(fd).st_size, 0)
        os.write(fd, b"new")
    eq(read(top / "old"), b"new")
    eq(stat.S_IMODE(os.stat(top / "old").st_mode), 0o640)


@CASES.case({"log": "start\n"})
def append_of_two_writers_loses_nothing(top: Path) -> None:
    with (
        opened(top / "log", os.O_WRONLY | os.O_APPEND) as one,
        opened(top / "log", os.O_WRONLY | os.O_APPEND) as two,
    ):
        for number in range(50):
            os.write(one, b"one %d\n" % number)
            os.write(two, b"two %d\n" % number)
    lines = read(top / "log").splitlines()
    eq(lines[:3], [b"start", b"one 0", b"two 0"])
    eq(len(lines), 101)


@CASES.case({"log": ""})
def append_of_two_processes_loses_nothing(top: Path) -> None:
    def write(mark: bytes) -> None:
        with opened(top / "log", os.O_WRONLY | os.O_APPEND) as fd:
            for _ in range(200):
                os.write(fd, mark * 99 + b"\n")

    children = []
    for mark in (b"a", b"b", b"c"):
        pid = os.fork()
        if pid == 0:
            write(mark)
            os._exit(0)
        children.append(pid)
    for pid in children:
        eq(os.waitpid(pid, 0)[1], 0)
    lines = read(top / "log").splitlines()
    eq(sorted({bytes(set(line)) for line in lines}), [b"a", b"b", b"c"])
    eq(len(lines), 600)


@CASES.case({"f": pattern(4 * BLOCK)}, everywhere=True)
def direct_io_and_buffered_io_agree(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as plain:
        eq(os.pread(plain, 10, BLOCK), pattern(4 * BLOCK)[BLOCK : BLOCK + 10])
        with mmap.mmap(-1, BLOCK) as buffer, opened(top / "f", os.O_RDWR | os.O_DIRECT) as direct:
            eq(os.preadv(direct, [buffer], BLOCK), BLOCK)
            eq(buffer[:], pattern(4 * BLOCK)[BLOCK : 2 * BLOCK])
            buffer[:] = b"D" * BLOCK
            eq(os.pwritev(direct, [buffer], BLOCK), BLOCK)
    with opened(top / "f", os.O_RDONLY) as plain:
        eq(os.pread(plain, 3 * BLOCK, 0), pattern(BLOCK) + b"D" * BLOCK + pattern(3 * BLOCK)[2 * BLOCK :])


@CASES.case({"f": pattern(2 * BLOCK)})
def buffered_read_after_direct_write_is_not_stale(top: Path) -> None:
    with (
        mmap.mmap(-1, BLOCK) as buffer,
        opened(top / "f", os.O_RDWR | os.O_DIRECT) as direct,
        opened(top / "f", os.O_RDWR) as plain,
    ):
        for letter in (b"x", b"y", b"z"):
            os.pread(plain, 2 * BLOCK, 0)
            buffer[:] = letter * BLOCK
            os.pwritev(direct, [buffer], BLOCK)
            eq(os.pread(plain, BLOCK, BLOCK), letter * BLOCK)
            os.pwrite(plain, letter.upper(), BLOCK + 7)
            os.preadv(direct, [buffer], BLOCK)
            eq(buffer[6:9], letter + letter.upper() + letter)


@CASES.case(everywhere=True)
def tmpfile_gets_a_name_by_linkat(top: Path) -> None:
    with opened(top, os.O_TMPFILE | os.O_RDWR, 0o640) as fd:
        os.write(fd, b"secret")
        eq(names(top), [])
        eq(os.fstat(fd).st_nlink, 0)
        link_fd(fd, top / "named")
        eq(os.fstat(fd).st_nlink, 1)
    eq(read(top / "named"), b"secret")
    eq(stat.S_IMODE(os.stat(top / "named").st_mode), 0o640)


@CASES.case()
def tmpfile_with_excl_never_gets_a_name(top: Path) -> None:
    with opened(top, os.O_TMPFILE | os.O_RDWR | os.O_EXCL) as fd:
        os.write(fd, b"secret")
        with fails(errno.ENOENT):
            link_fd(fd, top / "named")
    eq(names(top), [])


@CASES.case({"f": "old"})
def path_descriptors_neither_read_nor_copy(top: Path) -> None:
    with opened(top / "f", os.O_PATH) as fd:
        with fails(errno.EBADF):
            os.read(fd, 1)
        before = os.fstat(fd)
        eq(before.st_size, 3)
        with opened(f"/proc/self/fd/{fd}", os.O_RDWR) as again:
            os.write(again, b"NEW!")
        eq(os.fstat(fd).st_size, 4)
        eq(os.fstat(fd).st_ino, before.st_ino)
    eq(read(top / "f"), b"NEW!")


@CASES.case({"f": "old"})
def proc_self_fd_reopens_for_writing(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as reader:
        with opened(f"/proc/self/fd/{reader}", os.O_WRONLY) as writer:
            os.write(writer, b"new")
        with opened(f"/proc/self/fd/{reader}", os.O_RDONLY) as again:
            eq(os.read(again, 9), b"new")


@CASES.case({"f": "old", "d/": tree.directory(), "s": tree.symlink("d")})
def directory_flag_wants_a_directory(top: Path) -> None:
    with fails(errno.ENOTDIR):
        os.open(top / "f", os.O_RDONLY | os.O_DIRECTORY)
    with fails(errno.ENOTDIR, errno.ELOOP):
        os.open(top / "s", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    with opened(top / "s", os.O_RDONLY | os.O_DIRECTORY) as fd:
        eq(os.fstat(fd).st_ino, os.stat(top / "d").st_ino)


@CASES.case({"f": "old"})
def descriptors_hold_to_their_access_mode(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as fd, fails(errno.EBADF):
        os.write(fd, b"x")
    with opened(top / "f", os.O_RDONLY) as fd, fails(errno.EINVAL):
        os.ftruncate(fd, 0)
    with opened(top / "f", os.O_WRONLY) as fd, fails(errno.EBADF):
        os.read(fd, 1)
    eq(read(top / "f"), b"old")


@CASES.case({"f": "before"})
def open_for_reading_sees_later_writes(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as writer, opened(top / "f", os.O_RDONLY) as reader:
        eq(os.pread(reader, 99, 0), b"before")
        os.pwrite(writer, b"AFTER!", 0)
        eq(os.pread(reader, 99, 0), b"AFTER!")


SCRIPT = tree.file("#!/bin/sh\necho ran $1\n", mode=0o755)


@CASES.case({"script": SCRIPT, "plain": tree.file("#!/bin/sh\n", mode=0o644)}, everywhere=True)
def scripts_run_from_the_mount(top: Path) -> None:
    done = subprocess.run([top / "script", "well"], capture_output=True, check=True, timeout=10)
    eq(done.stdout, b"ran well\n")
    try:
        subprocess.run([top / "plain"], check=True, timeout=10)
    except PermissionError:
        pass
    else:
        raise AssertionError("ran without the x bit")
    os.chmod(top / "plain", 0o755)
    subprocess.run([top / "plain"], check=True, timeout=10)


@CASES.case(everywhere=True)
def programs_run_from_the_mount(top: Path) -> None:
    put(top / "true", Path("/bin/true").read_bytes(), 0o755)
    subprocess.run([top / "true"], check=True, timeout=10)
    os.rename(top / "true", top / "moved")
    subprocess.run([top / "moved"], check=True, timeout=10)


@CASES.case({"sleep": tree.file(Path("/bin/sleep").read_bytes(), mode=0o755)})
def running_program_cannot_be_written(top: Path) -> None:
    with subprocess.Popen([top / "sleep", "9"]) as process:
        try:
            with fails(errno.ETXTBSY):
                os.close(os.open(top / "sleep", os.O_WRONLY))
            with fails(errno.ETXTBSY):
                os.truncate(top / "sleep", 0)
        finally:
            process.kill()
    os.close(os.open(top / "sleep", os.O_WRONLY))


@CASES.case({"sleep": tree.file(Path("/bin/sleep").read_bytes(), mode=0o755)})
def written_program_cannot_run(top: Path) -> None:
    with opened(top / "sleep", os.O_WRONLY):
        try:
            subprocess.run([top / "sleep", "0"], check=True, timeout=10)
        except OSError as exc:
            eq(exc.errno, errno.ETXTBSY)
        else:
            raise AssertionError("ran although it is open for writing")
    subprocess.run([top / "sleep", "0"], check=True, timeout=10)


@CASES.case({f"many/{n:03d}": str(n) for n in range(200)})
def many_files_stay_open_at_once(top: Path) -> None:
    fds = [os.open(top / f"many/{n:03d}", os.O_RDWR) for n in range(200)]
    for number, fd in enumerate(fds):
        os.pwrite(fd, b"!", 5)
        eq(os.pread(fd, 9, 0)[: len(str(number))], str(number).encode())
    for fd in fds:
        os.close(fd)
    eq(len(names(top / "many")), 200)
