"""Owner, mode, set-id bits and when they go."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import Steps, as_user, eq, fails, is_real_root, mode_of, opened, put, read
from tests.support import tree

CASES = Table()
MODES: tree.Tree = {"f": "x", "d/": tree.directory(), "d/g": "y", "x": tree.file("#!/bin/sh\n", mode=0o755)}
SETID: dict[str, tree.Entry] = {
    "suid": tree.file("0123456789", mode=0o4777),
    "sgid": tree.file("0123456789", mode=0o2777),
    "both": tree.file("0123456789", mode=0o6777),
}
NO_GROUP_X: dict[str, tree.Entry] = {
    "lock": tree.file("0123456789", mode=0o2767)
}  # once meant mandatory locking
CLEARED = {"suid": 0o777, "sgid": 0o777, "both": 0o777}
# vfs_cap_data version 2 with cap_net_raw
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
USER = 1000


@CASES.case(MODES, everywhere=True)
def chmod_changes_every_bit(top: Path) -> None:
    for name in ("f", "d"):
        for mode in (0o000, 0o777, 0o4711, 0o2750, 0o1777, 0o640):
            os.chmod(top / name, mode)
            eq(mode_of(top / name), mode, f"{name} {mode:o}")
    eq(read(top / "f"), b"x")
    with opened(top / "f", os.O_RDONLY) as fd:
        os.fchmod(fd, 0o604)
    eq(mode_of(top / "f"), 0o604)


@CASES.case({"s": tree.symlink("f"), "f": "x"})
def chmod_follows_symlinks(top: Path) -> None:
    os.chmod(top / "s", 0o600)
    eq(mode_of(top / "f"), 0o600)
    eq(stat.S_IMODE(os.lstat(top / "s").st_mode), 0o777)


@CASES.case(MODES | {"s": tree.symlink("f"), "p": tree.fifo()}, needs=["uids"], everywhere=True)
def chown_changes_every_type(top: Path) -> None:
    for name in ("f", "d", "s", "p"):
        os.chown(top / name, 5, 6, follow_symlinks=False)
        info = os.lstat(top / name)
        eq((info.st_uid, info.st_gid), (5, 6), name)
        os.chown(top / name, -1, 7, follow_symlinks=False)
        os.chown(top / name, 8, -1, follow_symlinks=False)
        info = os.lstat(top / name)
        eq((info.st_uid, info.st_gid), (8, 7), name)
    eq((os.stat(top / "d" / "g").st_uid, read(top / "f")), (os.getuid(), b"x"))


@CASES.case({"d/": tree.directory(mode=0o777)}, needs=["uids"])
def new_objects_belong_to_their_maker(top: Path) -> None:
    def make() -> None:
        put(top / "d" / "f")
        os.mkdir(top / "d" / "sub")
        os.symlink("x", top / "d" / "s")
        os.mkfifo(top / "d" / "p")

    as_user(USER, make, gid=USER + 1)
    for name in ("f", "sub", "s", "p"):
        info = os.lstat(top / "d" / name)
        eq((info.st_uid, info.st_gid), (USER, USER + 1), name)


@CASES.case({"g/": tree.directory(mode=0o2777, gid=2000)}, needs=["uids"], everywhere=True)
def setgid_directory_hands_its_group_down(top: Path) -> None:
    def make() -> None:
        put(top / "g" / "f")
        os.mkdir(top / "g" / "sub")
        os.mkdir(top / "g" / "sub" / "deeper")
        os.symlink("x", top / "g" / "s")
        os.mkfifo(top / "g" / "p")

    as_user(USER, make)
    for name in ("f", "sub", "sub/deeper", "s", "p"):
        eq(os.lstat(top / "g" / name).st_gid, 2000, name)
    eq((mode_of(top / "g" / "sub"), mode_of(top / "g" / "sub" / "deeper")), (0o2755, 0o2755))
    eq(mode_of(top / "g" / "f"), 0o644)


@CASES.case({"g/": tree.directory(mode=0o2777, gid=2000)}, needs=["uids"])
def setgid_is_not_given_to_files_of_strangers(top: Path) -> None:
    def make() -> None:
        with opened(top / "g" / "f", os.O_CREAT | os.O_WRONLY, 0o2775):
            pass

    as_user(USER, make)
    eq(mode_of(top / "g" / "f"), 0o755)
    as_user(USER + 1, lambda: put(top / "g" / "h", "", 0o2775), groups=[2000])
    eq(mode_of(top / "g" / "h") & 0o777, 0o755)


@CASES.case(SETID, needs=["uids"], everywhere=True)
def write_by_a_stranger_clears_set_ids(top: Path) -> None:
    def write() -> None:
        for name in SETID:
            with opened(top / name, os.O_WRONLY) as fd:
                os.write(fd, b"w")

    as_user(USER, write)
    eq({name: mode_of(top / name) for name in SETID}, CLEARED)


@CASES.case(SETID, needs=["uids"], everywhere=True)
def truncate_by_a_stranger_clears_set_ids(top: Path) -> None:
    def cut() -> None:
        for name in SETID:
            os.truncate(top / name, 5)

    as_user(USER, cut)
    eq({name: mode_of(top / name) for name in SETID}, CLEARED)


@CASES.case(NO_GROUP_X, needs=["uids"])
def write_by_a_stranger_to_the_group_clears_setgid_without_x(top: Path) -> None:
    as_user(USER, lambda: os.truncate(top / "lock", 5))
    eq(mode_of(top / "lock"), 0o767)


@CASES.case(NO_GROUP_X, needs=["uids"])
def write_by_a_member_of_the_group_keeps_setgid_without_x(top: Path) -> None:
    group = os.stat(top / "lock").st_gid
    as_user(USER, lambda: os.truncate(top / "lock", 5), groups=[group])
    eq(mode_of(top / "lock"), 0o2767)


@CASES.case(NO_GROUP_X, needs=["uids"])
def chown_keeps_setgid_without_x(top: Path) -> None:
    os.chown(top / "lock", USER, USER)
    eq(mode_of(top / "lock"), 0o2767)


@CASES.case(SETID, needs=["uids"])
def open_with_trunc_by_a_stranger_clears_set_ids(top: Path) -> None:
    def cut() -> None:
        for name in SETID:
            os.close(os.open(top / name, os.O_WRONLY | os.O_TRUNC))

    as_user(USER, cut)
    eq({name: mode_of(top / name) for name in SETID}, CLEARED)


@CASES.case(SETID, needs=["uids"])
def write_by_root_keeps_set_ids(top: Path) -> None:
    for name in SETID:
        with opened(top / name, os.O_WRONLY) as fd:
            os.write(fd, b"w")
    kept = {name: entry.mode for name, entry in SETID.items()}
    eq({name: mode_of(top / name) for name in SETID}, kept if is_real_root() else CLEARED)


@CASES.case({"mine": tree.file("0123456789", mode=0o6755)})
def write_by_the_owner_without_privilege_clears_set_ids(top: Path) -> None:
    with opened(top / "mine", os.O_WRONLY) as fd:
        os.write(fd, b"w")
    eq(mode_of(top / "mine"), 0o6755 if is_real_root() else 0o755)


@CASES.case(SETID | {"d/": tree.directory(mode=0o6777)}, needs=["uids"], everywhere=True)
def chown_clears_set_ids_of_files(top: Path) -> None:
    for name in (*SETID, "d"):
        os.chown(top / name, USER, USER)
    found = {name: mode_of(top / name) for name in (*SETID, "d")}
    eq(found, CLEARED | {"d": 0o6777})


@CASES.case({"f": tree.file("x", mode=0o644, uid=USER, gid=USER)}, needs=["uids"])
def chmod_by_a_stranger_to_the_group_drops_setgid(top: Path) -> None:
    os.chown(top / "f", USER, 2000)
    as_user(USER, lambda: os.chmod(top / "f", 0o2755))
    eq(mode_of(top / "f"), 0o755)
    as_user(USER, lambda: os.chmod(top / "f", 0o2755), groups=[2000])
    eq(mode_of(top / "f"), 0o2755)


@CASES.case({"f": tree.file("x", mode=0o666)}, needs=["uids"])
def only_the_owner_changes_mode_and_times(top: Path) -> None:
    def attempt() -> None:
        with fails(errno.EPERM):
            os.chmod(top / "f", 0o777)
        with fails(errno.EPERM):
            os.utime(top / "f", ns=(1, 1))
        with fails(errno.EPERM):
            os.chown(top / "f", USER, -1)
        os.utime(top / "f")  # "now" needs write permission only

    as_user(USER, attempt)
    eq(mode_of(top / "f"), 0o666)


@CASES.case({"f": tree.file("x", uid=USER, gid=USER)}, needs=["uids"])
def owner_gives_the_file_to_own_groups_only(top: Path) -> None:
    def attempt() -> None:
        os.chown(top / "f", -1, 2000)
        eq(os.stat(top / "f").st_gid, 2000)
        with fails(errno.EPERM):
            os.chown(top / "f", -1, 3000)
        with fails(errno.EPERM):
            os.chown(top / "f", USER + 1, -1)

    as_user(USER, attempt, groups=[2000])


@CASES.case({"f": tree.file("x", mode=0o777)}, needs=["caps"], everywhere=True)
def file_capabilities_are_lost_on_write(top: Path) -> None:
    steps: Steps = (
        lambda: as_user(USER, lambda: (top / "f").write_text("new")),
        lambda: os.truncate(top / "f", 1),
        lambda: os.chown(top / "f", 0, 0),
    )
    for change in steps:
        os.setxattr(top / "f", "security.capability", CAPABILITY)
        eq(os.getxattr(top / "f", "security.capability"), CAPABILITY)
        change()
        assert "security.capability" not in os.listxattr(top / "f")


@CASES.case(needs=["caps"], everywhere=True)
def file_capabilities_are_lost_on_write_by_who_created(top: Path) -> None:
    with opened(top / "f", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755) as fd:
        os.write(fd, b"first")
        for text in (b" then", b" now"):
            os.setxattr(top / "f", "security.capability", CAPABILITY)
            os.fchmod(fd, 0o700)
            os.write(fd, text)
            assert "security.capability" not in os.listxattr(top / "f")
    eq((top / "f").read_bytes(), b"first then now")


@CASES.case({"f": tree.file("x", mode=0o755, xattrs={"security.capability": CAPABILITY})}, needs=["caps"])
def file_capabilities_survive_chmod_and_utime(top: Path) -> None:
    os.chmod(top / "f", 0o750)
    os.utime(top / "f", ns=(5, 5))
    os.rename(top / "f", top / "g")
    eq(os.getxattr(top / "g", "security.capability"), CAPABILITY)


@CASES.case()
def umask_applies_to_every_type(top: Path) -> None:
    os.umask(0o027)
    put(top / "f", "", 0o666)
    os.mkdir(top / "d", 0o777)
    os.mkfifo(top / "p", 0o666)
    os.mknod(top / "n", stat.S_IFREG | 0o777)
    with opened(top, os.O_TMPFILE | os.O_RDWR, 0o666) as fd:
        eq(os.fstat(fd).st_mode & 0o7777, 0o640)
    found = {name: mode_of(top / name) for name in ("f", "d", "p", "n")}
    eq(found, {"f": 0o640, "d": 0o750, "p": 0o640, "n": 0o750})


@CASES.case()
def creation_keeps_sticky_and_set_ids(top: Path) -> None:
    os.umask(0)
    os.mkdir(top / "d", 0o1777)
    eq(mode_of(top / "d"), 0o1777)
    put(top / "f", "", 0o4755)
    eq(mode_of(top / "f"), 0o4755)


@CASES.case()
def file_without_permissions_is_written_by_its_creator(top: Path) -> None:
    with opened(top / "f", os.O_CREAT | os.O_RDWR, 0o000) as fd:
        os.write(fd, b"mine")
        eq(os.pread(fd, 9, 0), b"mine")
    eq(mode_of(top / "f"), 0)
