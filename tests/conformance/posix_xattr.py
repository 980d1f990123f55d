"""Extended attributes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import as_user, eq, fails, opened, read
from tests.support import tree

CASES = Table()
GIVEN: tree.Tree = {
    "f": tree.file("data", xattrs={"user.one": b"1", "user.bin": b"\0\xff"}),
    "d/": tree.directory(xattrs={"user.dir": b"yes"}),
    "bare": "x",
    "s": tree.symlink("bare"),
}


def _all(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


@CASES.case(GIVEN, everywhere=True)
def attributes_are_listed_and_read(top: Path) -> None:
    eq(_all(top / "f"), {"user.one": b"1", "user.bin": b"\0\xff"})
    eq(_all(top / "d"), {"user.dir": b"yes"})
    eq((_all(top / "bare"), _all(top / "s")), ({}, {}))


@CASES.case(GIVEN, everywhere=True)
def attributes_change(top: Path) -> None:
    for name in ("f", "d"):
        os.setxattr(top / name, "user.new", b"value")
        os.setxattr(top / name, "user.empty", b"")
        os.setxattr(top / name, "user.new", b"another")
    os.removexattr(top / "f", "user.one")
    eq(_all(top / "f"), {"user.bin": b"\0\xff", "user.new": b"another", "user.empty": b""})
    eq(_all(top / "d"), {"user.dir": b"yes", "user.new": b"another", "user.empty": b""})
    eq(read(top / "f"), b"data")


@CASES.case(GIVEN)
def flags_create_and_replace(top: Path) -> None:
    with fails(errno.EEXIST):
        os.setxattr(top / "f", "user.one", b"2", os.XATTR_CREATE)
    with fails(errno.ENODATA):
        os.setxattr(top / "f", "user.none", b"2", os.XATTR_REPLACE)
    os.setxattr(top / "f", "user.none", b"2", os.XATTR_CREATE)
    os.setxattr(top / "f", "user.one", b"2", os.XATTR_REPLACE)
    eq(_all(top / "f"), {"user.one": b"2", "user.bin": b"\0\xff", "user.none": b"2"})


@CASES.case(GIVEN)
def missing_attributes_are_enodata(top: Path) -> None:
    for name in ("f", "d", "bare"):
        with fails(errno.ENODATA):
            os.getxattr(top / name, "user.none")
        with fails(errno.ENODATA):
            os.removexattr(top / name, "user.none")
    with fails(errno.ENOENT):
        os.getxattr(top / "none", "user.x")


@CASES.case(GIVEN)
def long_names_and_values_are_refused(top: Path) -> None:
    with fails(errno.ERANGE):
        os.setxattr(top / "f", "user." + "n" * 251, b"x")
    with fails(errno.E2BIG):
        os.setxattr(top / "f", "user.big", bytes(65_537))
    os.setxattr(top / "f", "user." + "n" * 250, b"x")
    eq(os.getxattr(top / "f", "user." + "n" * 250), b"x")


@CASES.case(GIVEN)
def values_of_a_thousand_bytes_fit(top: Path) -> None:
    value = bytes(range(256)) * 4
    os.setxattr(top / "f", "user.k", value)
    eq(os.getxattr(top / "f", "user.k"), value)


@CASES.case(GIVEN)
def namespaces_are_checked(top: Path) -> None:
    with fails(errno.EOPNOTSUPP):
        os.setxattr(top / "f", "nonsense.x", b"x")
    with fails(errno.EOPNOTSUPP):
        os.getxattr(top / "f", "nonsense.x")
    with fails(errno.EPERM):
        os.setxattr(top / "s", "user.x", b"x", follow_symlinks=False)
    os.setxattr(top / "s", "user.x", b"x")
    eq(os.getxattr(top / "bare", "user.x"), b"x")


@CASES.case(GIVEN)
def setting_on_a_symlink_itself_does_not_hang(top: Path) -> None:
    os.symlink(top / "f", top / "into")  # an absolute path through this mount
    for name in ("s", "into"):
        with fails(errno.EPERM, errno.EOPNOTSUPP):
            os.setxattr(top / name, "user.x", b"x", follow_symlinks=False)
        with fails(errno.ENODATA, errno.EOPNOTSUPP, errno.EPERM):
            os.getxattr(top / name, "user.x", follow_symlinks=False)
        eq([n for n in os.listxattr(top / name, follow_symlinks=False) if n.startswith("user.")], [])


@CASES.case({"s": tree.symlink("nowhere"), "f": "x"}, needs=["trusted"])
def trusted_attributes_work_on_every_type(top: Path) -> None:
    for name in ("s", "f"):
        os.setxattr(top / name, "trusted.mine", b"t", follow_symlinks=False)
        eq(os.getxattr(top / name, "trusted.mine", follow_symlinks=False), b"t")
        assert "trusted.mine" in os.listxattr(top / name, follow_symlinks=False)


@CASES.case({"f": tree.file("x", mode=0o666)}, needs=["trusted"])
def trusted_attributes_are_hidden_from_users(top: Path) -> None:
    os.setxattr(top / "f", "trusted.mine", b"t")

    def look() -> None:
        eq(os.listxattr(top / "f"), [])
        with fails(errno.ENODATA):
            os.getxattr(top / "f", "trusted.mine")
        with fails(errno.EPERM):
            os.setxattr(top / "f", "trusted.mine", b"u")

    as_user(1000, look)


@CASES.case(GIVEN)
def attributes_survive_data_and_metadata_changes(top: Path) -> None:
    with opened(top / "f", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")
        os.setxattr(fd, "user.fd", b"d")
    os.chmod(top / "f", 0o600)
    os.rename(top / "f", top / "g")
    os.link(top / "g", top / "h")
    eq(_all(top / "h"), {"user.one": b"1", "user.bin": b"\0\xff", "user.fd": b"d"})
    os.chmod(top / "d", 0o700)
    eq(_all(top / "d"), {"user.dir": b"yes"})


@CASES.case(GIVEN)
def setting_changes_ctime_not_mtime(top: Path) -> None:
    before = os.stat(top / "f")
    os.setxattr(top / "f", "user.x", b"x")
    after = os.stat(top / "f")
    eq(after.st_mtime_ns, before.st_mtime_ns)
    assert after.st_ctime_ns >= before.st_ctime_ns


@CASES.case({"f": tree.file("x", mode=0o444)}, needs=["uids"])
def user_attributes_need_permission(top: Path) -> None:
    os.setxattr(top / "f", "user.x", b"x")

    def look() -> None:
        eq(os.getxattr(top / "f", "user.x"), b"x")
        with fails(errno.EACCES):
            os.setxattr(top / "f", "user.x", b"y")
        with fails(errno.EACCES):
            os.removexattr(top / "f", "user.x")

    as_user(1000, look)


@CASES.case({"f": "x"})
def many_attributes_on_one_file(top: Path) -> None:
    wanted = {f"user.a{n:02d}": b"%d" % n for n in range(50)}
    for name, value in wanted.items():
        os.setxattr(top / "f", name, value)
    eq(_all(top / "f"), wanted)
    with opened(top / "f", os.O_RDWR) as fd:
        os.write(fd, b"y")
    eq(_all(top / "f"), wanted)
