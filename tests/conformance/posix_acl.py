"""POSIX access control lists, as the xattrs that carry them."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import as_user, eq, fails, mode_of, opened, put, read
from tests.support import tree

CASES = Table()
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, NAMED_USER, GROUP_OBJ, NAMED_GROUP, MASK, OTHER = 1, 2, 4, 8, 0x10, 0x20
NOBODY = 0xFFFFFFFF


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Pack (tag, permissions, id) rows."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, perm, who) for tag, perm, who in entries)


def rows(data: bytes) -> list[tuple[int, int, int]]:
    """Unpack them."""
    return [struct.unpack_from("<HHI", data, at) for at in range(4, len(data), 8)]


def named(uid: int, perm: int, mask: int = 7) -> bytes:
    """Return rw- for the owner, r-- for the group, one named user, a mask, --- for others."""
    return acl((USER_OBJ, 6, NOBODY), (NAMED_USER, perm, uid), (GROUP_OBJ, 4, NOBODY), (MASK, mask, NOBODY),
               (OTHER, 0, NOBODY))  # fmt: skip


FOR_ROOT = named(0, 7)  # uid 0 is mapped in every realm that has an id to name
PLAIN: tree.Tree = {"f": tree.file("secret", mode=0o640), "d/": tree.directory(), "d/g": "y"}


def _me() -> bytes:
    return named(os.getuid(), 7)


@CASES.case(PLAIN, everywhere=True)
def access_acl_is_kept_and_sets_the_mode(top: Path) -> None:
    os.setxattr(top / "f", ACCESS, _me())
    eq(rows(os.getxattr(top / "f", ACCESS)), rows(_me()))
    eq(mode_of(top / "f"), 0o670)  # the group bits show the mask
    assert ACCESS in os.listxattr(top / "f")
    eq(read(top / "f"), b"secret")


@CASES.case(PLAIN)
def chmod_changes_the_mask(top: Path) -> None:
    os.setxattr(top / "f", ACCESS, _me())
    os.chmod(top / "f", 0o604)
    found = {tag: perm for tag, perm, _ in rows(os.getxattr(top / "f", ACCESS))}
    eq(found, {USER_OBJ: 6, NAMED_USER: 7, GROUP_OBJ: 4, MASK: 0, OTHER: 4})


@CASES.case(PLAIN)
def minimal_acl_is_only_a_mode(top: Path) -> None:
    os.setxattr(top / "f", ACCESS, _me())
    os.setxattr(top / "f", ACCESS, acl((USER_OBJ, 6, NOBODY), (GROUP_OBJ, 0, NOBODY), (OTHER, 4, NOBODY)))
    eq(mode_of(top / "f"), 0o604)
    assert ACCESS not in os.listxattr(top / "f")
    with fails(errno.ENODATA):
        os.getxattr(top / "f", ACCESS)


@CASES.case(PLAIN)
def acl_is_removed(top: Path) -> None:
    os.setxattr(top / "f", ACCESS, _me())
    os.removexattr(top / "f", ACCESS)
    assert ACCESS not in os.listxattr(top / "f")
    os.setxattr(top / "d", DEFAULT, _me())
    os.removexattr(top / "d", DEFAULT)
    eq(os.listxattr(top / "d"), [])


@CASES.case(PLAIN)
def bad_acls_are_refused(top: Path) -> None:
    with fails(errno.EINVAL):
        os.setxattr(top / "f", ACCESS, acl((USER_OBJ, 6, NOBODY)))
    with fails(errno.EINVAL, errno.EOPNOTSUPP):
        os.setxattr(top / "f", ACCESS, b"nonsense")
    with fails(errno.EACCES):
        os.setxattr(top / "f", DEFAULT, _me())
    eq(mode_of(top / "f"), 0o640)


@CASES.case(PLAIN, everywhere=True)
def default_acl_is_inherited_instead_of_umask(top: Path) -> None:
    os.umask(0o077)
    os.setxattr(top / "d", DEFAULT, _me())
    eq(mode_of(top / "d"), 0o755)
    put(top / "d" / "f", "", 0o666)
    os.mkdir(top / "d" / "sub", 0o777)
    os.mkfifo(top / "d" / "p", 0o666)
    os.symlink("x", top / "d" / "s")
    eq(mode_of(top / "d" / "f"), 0o660)
    eq(mode_of(top / "d" / "sub"), 0o670)
    eq(mode_of(top / "d" / "p"), 0o660)
    found = {tag: perm for tag, perm, _ in rows(os.getxattr(top / "d" / "f", ACCESS))}
    eq(found, {USER_OBJ: 6, NAMED_USER: 7, GROUP_OBJ: 4, MASK: 6, OTHER: 0})
    eq(rows(os.getxattr(top / "d" / "sub", DEFAULT)), rows(_me()))
    assert DEFAULT not in os.listxattr(top / "d" / "f")


@CASES.case(PLAIN)
def minimal_default_acl_replaces_umask(top: Path) -> None:
    os.umask(0o077)
    os.setxattr(top / "d", DEFAULT, acl((USER_OBJ, 7, NOBODY), (GROUP_OBJ, 5, NOBODY), (OTHER, 5, NOBODY)))
    put(top / "d" / "f", "", 0o666)
    os.mkdir(top / "d" / "sub")
    eq((mode_of(top / "d" / "f"), mode_of(top / "d" / "sub")), (0o644, 0o755))
    assert ACCESS not in os.listxattr(top / "d" / "f")


@CASES.case(PLAIN)
def default_acl_rules_tmpfiles_too(top: Path) -> None:
    os.umask(0o077)
    os.setxattr(top / "d", DEFAULT, _me())
    with opened(top / "d", os.O_TMPFILE | os.O_RDWR, 0o666) as fd:
        eq(os.fstat(fd).st_mode & 0o777, 0o660)


GIVEN: tree.Tree = {
    "f": tree.file("secret", mode=0o640, xattrs={ACCESS: named(1000, 6)}),
    "d/": tree.directory(mode=0o700, xattrs={DEFAULT: named(1000, 7)}),
    "d/g": "y",
}


@CASES.case(GIVEN, needs=["uids"], everywhere=True)
def acl_survives_change(top: Path) -> None:
    with opened(top / "f", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")
    os.utime(top / "f", ns=(5, 5))
    os.rename(top / "f", top / "moved")
    eq(rows(os.getxattr(top / "moved", ACCESS)), rows(named(1000, 6)))
    put(top / "d" / "new")
    eq(rows(os.getxattr(top / "d", DEFAULT)), rows(named(1000, 7)))


@CASES.case(GIVEN, needs=["uids"])
def acl_decides_who_may_open(top: Path) -> None:
    as_user(1000, lambda: eq(read(top / "f"), b"secret"))
    as_user(1000, lambda: os.close(os.open(top / "f", os.O_WRONLY)))

    def refused() -> None:
        with fails(errno.EACCES):
            os.open(top / "f", os.O_RDONLY)

    as_user(1001, refused)
    os.setxattr(top / "f", ACCESS, named(1000, 6, mask=0))
    as_user(1000, refused)
    group = acl((USER_OBJ, 6, NOBODY), (GROUP_OBJ, 0, NOBODY), (NAMED_GROUP, 4, 2000), (MASK, 4, NOBODY),
                (OTHER, 0, NOBODY))  # fmt: skip
    os.setxattr(top / "f", ACCESS, group)
    as_user(1001, lambda: eq(read(top / "f"), b"secret"), groups=[2000])
    as_user(1001, refused)


@CASES.case(PLAIN, needs=["uids"])
def only_the_owner_sets_acls(top: Path) -> None:
    def attempt() -> None:
        with fails(errno.EPERM):
            os.setxattr(top / "f", ACCESS, named(1000, 7))

    os.chmod(top / "f", 0o666)
    as_user(1000, attempt)


@CASES.case({"f": tree.file("x", mode=0o755, uid=1000, gid=1000)}, needs=["uids"])
def setting_an_acl_may_clear_setgid(top: Path) -> None:
    os.chown(top / "f", 1000, 2000)
    os.chmod(top / "f", 0o2755)
    as_user(1000, lambda: os.setxattr(top / "f", ACCESS, named(1001, 7)))
    eq(mode_of(top / "f") & 0o2000, 0)


@CASES.case({"f": tree.file("x", mode=0o755, uid=1000, gid=1000)}, needs=["uids"])
def removing_an_acl_that_is_not_there_may_clear_setgid(top: Path) -> None:
    os.chown(top / "f", 1000, 2000)
    os.chmod(top / "f", 0o2755)
    as_user(1000, lambda: os.removexattr(top / "f", ACCESS))
    eq(mode_of(top / "f") & 0o2000, 0)
