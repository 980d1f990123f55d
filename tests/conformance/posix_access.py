"""Who may do what: other users, groups, sticky directories."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import Steps, as_user, eq, fails, names, put, read
from tests.support import tree

CASES = Table()
OWNER, GROUP, MEMBER, OTHER = 1000, 2000, 1001, 1002
MODES = (0o000, 0o400, 0o200, 0o600, 0o040, 0o060, 0o004, 0o006, 0o070, 0o007, 0o666)


def _may(path: Path, flags: int) -> bool:
    try:
        os.close(os.open(path, flags))
    except PermissionError as exc:
        assert exc.errno == errno.EACCES, exc
        return False
    return True


MATRIX: tree.Tree = {f"m{mode:03o}": tree.file("x", mode=mode, uid=OWNER, gid=GROUP) for mode in MODES}


def _check_matrix(top: Path, shift: int) -> None:
    for mode in MODES:
        bits = mode >> shift & 7
        path = top / f"m{mode:03o}"
        eq(_may(path, os.O_RDONLY), bool(bits & 4), f"reading {mode:03o}")
        eq(_may(path, os.O_WRONLY), bool(bits & 2), f"writing {mode:03o}")
        eq(_may(path, os.O_RDWR), bits & 6 == 6, f"both {mode:03o}")
        eq(os.access(path, os.R_OK), bool(bits & 4), f"access r {mode:03o}")
        eq(os.access(path, os.W_OK), bool(bits & 2), f"access w {mode:03o}")
        eq(os.access(path, os.X_OK), bool(bits & 1), f"access x {mode:03o}")


@CASES.case(MATRIX, needs=["uids"], everywhere=True)
def owner_bits_rule_the_owner(top: Path) -> None:
    as_user(OWNER, lambda: _check_matrix(top, 6), gid=GROUP)


@CASES.case(MATRIX, needs=["uids"])
def group_bits_rule_the_primary_group(top: Path) -> None:
    as_user(MEMBER, lambda: _check_matrix(top, 3), gid=GROUP)


@CASES.case(MATRIX, needs=["uids"])
def group_bits_rule_supplementary_groups(top: Path) -> None:
    as_user(MEMBER, lambda: _check_matrix(top, 3), groups=[77, GROUP, 78])


@CASES.case(MATRIX, needs=["uids"])
def other_bits_rule_the_rest(top: Path) -> None:
    as_user(OTHER, lambda: _check_matrix(top, 0), groups=[77])


@CASES.case({"f": tree.file("x", mode=0o000), "d/": tree.directory(mode=0o000), "d/g": "y"}, needs=["uids"])
def root_reads_and_writes_everything(top: Path) -> None:
    eq((read(top / "f"), read(top / "d" / "g")), (b"x", b"y"))
    put(top / "d" / "new")
    assert not os.access(top / "f", os.X_OK)


@CASES.case({"f": tree.file("x", mode=0o400), "d/": tree.directory(mode=0o555)})
def read_only_for_oneself(top: Path) -> None:
    if os.geteuid() == 0:
        return  # root may all the same
    with fails(errno.EACCES):
        os.open(top / "f", os.O_WRONLY)
    with fails(errno.EACCES):
        put(top / "d" / "f")
    os.chmod(top / "f", 0o600)
    os.close(os.open(top / "f", os.O_WRONLY))
    os.chmod(top / "d", 0o755)
    put(top / "d" / "f")


DIRS: tree.Tree = {
    "none/": tree.directory(mode=0o700),
    "none/f": tree.file("x", mode=0o666),
    "list/": tree.directory(mode=0o744),
    "list/f": tree.file("x", mode=0o666),
    "pass/": tree.directory(mode=0o711),
    "pass/f": tree.file("x", mode=0o666),
    "look/": tree.directory(mode=0o755),
    "look/f": tree.file("x", mode=0o666),
    "open/": tree.directory(mode=0o777),
    "open/f": tree.file("x", mode=0o600),
}


@CASES.case(DIRS, needs=["uids"], everywhere=True)
def directories_need_x_to_pass_and_r_to_list(top: Path) -> None:
    def look() -> None:
        for name, lists, passes in (("none", 0, 0), ("list", 1, 0), ("pass", 0, 1), ("look", 1, 1)):
            if lists:
                eq(names(top / name), ["f"])
            else:
                with fails(errno.EACCES):
                    os.listdir(top / name)
            if passes:
                eq(read(top / name / "f"), b"x")
            else:
                with fails(errno.EACCES):
                    os.stat(top / name / "f")

    as_user(OTHER, look)


@CASES.case(DIRS, needs=["uids"])
def directories_need_w_to_change(top: Path) -> None:
    def attempt() -> None:
        for name in ("pass", "look"):
            where = top / name
            steps: Steps = (
                lambda: put(where / "n"),  # noqa: B023 -- called at once
                lambda: os.mkdir(where / "n"),  # noqa: B023
                lambda: os.symlink("x", where / "n"),  # noqa: B023
                lambda: os.link(where / "f", where / "n"),  # noqa: B023
                lambda: os.unlink(where / "f"),  # noqa: B023
                lambda: os.rename(where / "f", where / "n"),  # noqa: B023
                lambda: os.rename(top / "open" / "f", where / "n"),  # noqa: B023
                lambda: os.rename(where / "f", top / "open" / "n"),  # noqa: B023
            )
            for change in steps:
                with fails(errno.EACCES, errno.EPERM):
                    change()
        os.unlink(top / "open" / "f")  # not ours, but the directory lets us
        put(top / "open" / "mine")

    as_user(OTHER, attempt)
    eq(names(top / "look"), ["f"])


STICKY: tree.Tree = {
    "t/": tree.directory(mode=0o1777),
    "t/theirs": tree.file("x", mode=0o666, uid=OWNER, gid=OWNER),
    "t/mine": tree.file("y", mode=0o600, uid=OTHER, gid=OTHER),
    "t/dir/": tree.directory(uid=OWNER, gid=OWNER),
}


@CASES.case(STICKY, needs=["uids"], everywhere=True)
def sticky_directory_protects_what_others_own(top: Path) -> None:
    def attempt() -> None:
        here = top / "t"
        with fails(errno.EPERM):
            os.unlink(here / "theirs")
        with fails(errno.EPERM):
            os.rename(here / "theirs", here / "stolen")
        with fails(errno.EPERM):
            os.rename(here / "mine", here / "theirs")
        with fails(errno.EPERM):
            os.rmdir(here / "dir")
        (here / "theirs").write_text("written")
        os.rename(here / "mine", here / "moved")
        os.unlink(here / "moved")

    as_user(OTHER, attempt)
    as_user(OWNER, lambda: os.unlink(top / "t" / "theirs"))
    eq(names(top / "t"), ["dir"])


@CASES.case(
    {"own/": tree.directory(mode=0o1777, uid=OTHER, gid=OTHER), "own/f": tree.file("x", uid=OWNER)},
    needs=["uids"],
)
def owner_of_a_sticky_directory_rules_it(top: Path) -> None:
    as_user(OTHER, lambda: os.unlink(top / "own" / "f"))


@CASES.case({"d/": tree.directory(mode=0o777)}, needs=["uids"])
def change_of_mode_counts_at_once(top: Path) -> None:
    def refused() -> None:
        with fails(errno.EACCES):
            put(top / "d" / "f")

    as_user(OTHER, lambda: put(top / "d" / "f"))
    os.unlink(top / "d" / "f")
    os.chmod(top / "d", 0o755)
    as_user(OTHER, refused)
    os.chmod(top / "d", 0o777)
    as_user(OTHER, lambda: put(top / "d" / "f"))
    os.chmod(top / "d", 0o700)
    as_user(OTHER, refused)


@CASES.case({"x": tree.file("#!/bin/sh\n", mode=0o654, uid=OWNER, gid=GROUP)}, needs=["uids"])
def execution_needs_the_right_x(top: Path) -> None:
    def runs() -> None:
        pid = os.fork()
        if pid == 0:
            try:
                os.execv(top / "x", ["x"])
            except PermissionError:
                os._exit(77)
        eq(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def refused() -> None:
        with fails(errno.EACCES):
            os.execv(top / "x", ["x"])

    as_user(MEMBER, runs, groups=[GROUP])
    as_user(OWNER, refused)
    as_user(OTHER, refused)


@CASES.case({"f": tree.file("x", mode=0o600)}, needs=["uids"])
def open_descriptor_outlives_the_right(top: Path) -> None:
    os.chmod(top / "f", 0o666)

    def keep() -> None:
        fd = os.open(top / "f", os.O_RDWR)
        os.write(fd, b"one")
        os.lseek(fd, 0, os.SEEK_SET)
        eq(os.read(fd, 9), b"one")
        os.close(fd)

    as_user(OTHER, keep)
    fd = os.open(top / "f", os.O_RDWR)
    os.chmod(top / "f", 0)
    os.write(fd, b"two")
    os.close(fd)
    eq(read(top / "f"), b"two")
