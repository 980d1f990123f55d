"""Names and types of objects."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, exists, fails, names, opened, put, read
from tests.support import tree

CASES = Table()
LONG = "n" * 255
WIDE = "ü" * 127 + "x"  # 255 bytes in UTF-8
RAW = b"\xff\xfe-not-utf8-\x80"


@CASES.case(everywhere=True)
def name_of_255_bytes_works_for_every_type(top: Path) -> None:
    put(top / LONG, "long")
    eq(names(top), [LONG])
    os.rename(top / LONG, top / WIDE)
    eq(read(top / WIDE), b"long")
    os.unlink(top / WIDE)
    os.mkdir(top / LONG)
    os.symlink("x", top / LONG / WIDE)
    os.link(top / LONG / WIDE, top / WIDE, follow_symlinks=False)
    eq(names(top), sorted([LONG, WIDE]))


@CASES.case({LONG: "old", f"{WIDE}/": tree.directory(), f"{WIDE}/{LONG}": "deep"})
def name_of_255_bytes_survives_change_and_removal(top: Path) -> None:
    with opened(top / LONG, os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+new")
    eq(read(top / LONG), b"old+new")
    os.unlink(top / LONG)
    eq(names(top), [WIDE])
    put(top / LONG, "again")
    eq(read(top / LONG), b"again")
    os.unlink(top / WIDE / LONG)
    os.rmdir(top / WIDE)
    eq(names(top), [LONG])


@CASES.case()
def name_of_256_bytes_is_too_long(top: Path) -> None:
    for attempt in (os.mkdir, os.stat, os.unlink, os.rmdir):
        with fails(errno.ENAMETOOLONG):
            attempt(top / (LONG + "x"))
    with fails(errno.ENAMETOOLONG):
        put(top / (LONG + "x"))


@CASES.case({RAW: "raw", RAW + b"d/": tree.directory(), RAW + b"d/" + RAW: "deep"})
def names_are_bytes(top: Path) -> None:
    base = os.fsencode(top)
    eq(sorted(os.listdir(base)), [RAW, RAW + b"d"])
    with open(base + b"/" + RAW, "rb") as stream:
        eq(stream.read(), b"raw")
    os.rename(base + b"/" + RAW, base + b"/\n\\" + RAW)
    eq(sorted(os.listdir(base)), [b"\n\\" + RAW, RAW + b"d"])
    os.unlink(base + b"/" + RAW + b"d/" + RAW)
    eq(os.listdir(base + b"/" + RAW + b"d"), [])


@CASES.case({"case": "1", "Case": "2", ".hidden": "3", "...": "4", " ": "5", "a:b,c=d\\": "6"})
def names_differ_by_case_and_may_be_odd(top: Path) -> None:
    eq(names(top), sorted(["case", "Case", ".hidden", "...", " ", "a:b,c=d\\"]))
    for name, content in (("case", b"1"), ("Case", b"2"), ("...", b"4"), (" ", b"5"), ("a:b,c=d\\", b"6")):
        eq(read(top / name), content, name)
        os.unlink(top / name)
    eq(names(top), [".hidden"])


@CASES.case({"d/": tree.directory(), "d/e/": tree.directory(), "f": "x"})
def dot_and_dotdot_lead_where_they_should(top: Path) -> None:
    here = os.stat(top)
    eq(os.stat(f"{top}/d/..").st_ino, here.st_ino)
    eq(os.stat(f"{top}/d/e/../..").st_ino, here.st_ino)
    eq(os.stat(f"{top}/d/.").st_ino, os.stat(top / "d").st_ino)
    eq(Path(f"{top}/d/e/../../f").read_bytes(), b"x")
    with fails(errno.ENOTDIR):
        os.stat(f"{top}/f/..")
    with fails(errno.EINVAL):
        os.rmdir(f"{top}/d/.")
    with fails(errno.ENOTEMPTY):
        os.rmdir(f"{top}/d/..")


@CASES.case({"f": "x", "d/": tree.directory()})
def wrong_kinds_of_parents_and_slashes(top: Path) -> None:
    with fails(errno.ENOTDIR):
        os.stat(top / "f" / "below")
    with fails(errno.ENOTDIR):
        os.mkdir(top / "f" / "below")
    with fails(errno.ENOTDIR):
        os.stat(f"{top}/f/")
    with fails(errno.ENOENT):
        put(top / "none" / "f")
    with fails(errno.EISDIR):
        os.open(f"{top}/new/", os.O_CREAT | os.O_WRONLY)
    os.mkdir(f"{top}/made/")
    with fails(errno.ENOTDIR):
        os.rmdir(top / "f")
    with fails(errno.EISDIR):
        os.unlink(top / "d")
    with fails(errno.EISDIR):
        os.open(top / "d", os.O_WRONLY)


@CASES.case({"f": "x", "d/": tree.directory(), "s": tree.symlink("f")})
def names_in_use_are_refused(top: Path) -> None:
    for name in ("f", "d", "s"):
        with fails(errno.EEXIST):
            os.mkdir(top / name)
        with fails(errno.EEXIST):
            os.symlink("t", top / name)
        with fails(errno.EEXIST):
            os.link(top / "f", top / name)
        with fails(errno.EEXIST):
            os.mkfifo(top / name)
        with fails(errno.EEXIST):
            put(top / name)


@CASES.case()
def symlinks_long_and_dangling(top: Path) -> None:
    longest = "a/" * 2047 + "b"  # PATH_MAX less the NUL
    os.symlink(longest, top / "long")
    eq(os.readlink(top / "long"), longest)
    eq(os.lstat(top / "long").st_size, len(longest))
    with fails(errno.ENAMETOOLONG):
        os.symlink(longest + "c", top / "longer")
    os.symlink("nowhere", top / "dangling")
    assert exists(top / "dangling")
    with fails(errno.ENOENT):
        os.stat(top / "dangling")
    Path(top / "dangling").write_text("through")
    eq(read(top / "nowhere"), b"through")
    with fails(errno.ENOENT):
        os.symlink("", top / "empty")


@CASES.case(
    {"to-file": tree.symlink("f"), "f": "x", "to-dir": tree.symlink("d"), "d/": tree.directory(), "d/g": "y"}
)
def symlinks_are_followed_and_not(top: Path) -> None:
    eq(read(top / "to-file"), b"x")
    eq(read(top / "to-dir" / "g"), b"y")
    eq(stat.S_IFMT(os.lstat(top / "to-dir").st_mode), stat.S_IFLNK)
    with fails(errno.ELOOP):
        os.open(top / "to-file", os.O_RDONLY | os.O_NOFOLLOW)
    with fails(errno.EINVAL):
        os.readlink(top / "f")
    os.symlink("loop", top / "loop")
    with fails(errno.ELOOP):
        os.stat(top / "loop")
    os.unlink(top / "to-dir")
    eq(names(top / "d"), ["g"])


@CASES.case({"p": tree.fifo(mode=0o620)})
def fifos_carry_data(top: Path) -> None:
    os.mkfifo(top / "q", 0o600)
    for name in ("p", "q"):
        assert stat.S_ISFIFO(os.lstat(top / name).st_mode), name
        with opened(top / name, os.O_RDWR | os.O_NONBLOCK) as fd:
            os.write(fd, b"through")
            eq(os.read(fd, 100), b"through")
    os.chmod(top / "p", 0o600)
    assert stat.S_ISFIFO(os.lstat(top / "p").st_mode)


@CASES.case()
def sockets_connect(top: Path) -> None:
    os.chdir(top)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        assert stat.S_ISSOCK(os.lstat("s").st_mode)
        server.listen(1)
        client.connect("s")
        peer, _ = server.accept()
        with peer:
            client.sendall(b"hello")
            eq(peer.recv(9), b"hello")
        with fails(errno.EADDRINUSE), socket.socket(socket.AF_UNIX) as second:
            second.bind("s")
    os.unlink("s")


@CASES.case({"s": tree.sock(mode=0o700)})
def sockets_keep_their_type(top: Path) -> None:
    assert stat.S_ISSOCK(os.lstat(top / "s").st_mode)
    os.chmod(top / "s", 0o777)
    assert stat.S_ISSOCK(os.lstat(top / "s").st_mode)
    os.rename(top / "s", top / "t")
    assert stat.S_ISSOCK(os.lstat(top / "t").st_mode)
    with fails(errno.ENXIO):
        os.open(top / "t", os.O_RDONLY)


@CASES.case({"null": tree.device(stat.S_IFCHR, 1, 3, mode=0o666)}, needs=["device"])
def device_nodes_keep_their_numbers(top: Path) -> None:
    os.mknod(top / "loop", stat.S_IFBLK | 0o600, os.makedev(7, 255))
    info = os.lstat(top / "loop")
    eq((stat.S_IFMT(info.st_mode), info.st_rdev), (stat.S_IFBLK, os.makedev(7, 255)))
    os.mknod(top / "big", stat.S_IFCHR | 0o600, os.makedev(259, 100_000))
    eq(os.lstat(top / "big").st_rdev, os.makedev(259, 100_000))
    os.chown(top / "null", 5, 6)
    info = os.lstat(top / "null")
    eq((info.st_rdev, info.st_uid, info.st_mode & 0o7777), (os.makedev(1, 3), 5, 0o666))


@CASES.case()
def mknod_makes_regular_files(top: Path) -> None:
    os.mknod(top / "f", stat.S_IFREG | 0o640)
    info = os.lstat(top / "f")
    eq((info.st_mode, info.st_size, info.st_nlink), (stat.S_IFREG | 0o640, 0, 1))
    eq(os.statvfs(top).f_namemax, 255)


@CASES.case({"d/": tree.directory(), "d/x": "1"})
def deep_paths_work(top: Path) -> None:
    here = os.open(top / "d", os.O_RDONLY | os.O_DIRECTORY)
    for level in range(120):  # 120 * 40 characters is beyond PATH_MAX
        name = f"{level:03d}-" + "p" * 36
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    with opened("leaf", os.O_CREAT | os.O_WRONLY, at=here) as fd:
        os.write(fd, b"deep")
    with opened("leaf", os.O_RDONLY, at=here) as fd:
        eq(os.read(fd, 9), b"deep")
    os.close(here)
