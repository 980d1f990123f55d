"""Whiteouts and opaque directories: what hides what, and what it looks like on the upper."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from tests.conformance.case import Union, UnionTable
from tests.conformance.check import eq, exists, fails, names, put, read
from tests.support import tree
from tests.support.dump import assert_on

CASES = UnionTable()
OURS = ["kind:lamina"]
BELOW: tree.Tree = {
    "f": "lower",
    "d/": tree.directory(),
    "d/a": "1",
    "d/sub/": tree.directory(),
    "d/sub/b": "2",
}


def overlay_xattr(union: Union, path: Path, name: str) -> bytes | None:
    """Return an overlay xattr of an object on a layer."""
    try:
        return os.getxattr(path, union.dialect + name, follow_symlinks=False)
    except OSError as exc:
        if exc.errno == errno.ENODATA:
            return None
        raise


@CASES.case([BELOW], everywhere=True)
def unlink_of_a_lower_file_leaves_a_whiteout(union: Union) -> None:
    os.unlink(union.top / "f")
    assert_on(union.upper, "f", "whiteout")
    assert_on(union.lowers[0], "f", "file")
    eq((exists(union.top / "f"), names(union.top)), (False, ["d"]))
    with fails(errno.ENOENT):
        os.open(union.top / "f", os.O_RDONLY)


@CASES.case([BELOW], upper={"f": "upper", "only": "u", "d/a": "changed"})
def unlink_of_an_upper_file_leaves_one_where_it_must(union: Union) -> None:
    for name, left in (("f", "whiteout"), ("only", "absent"), ("d/a", "whiteout")):
        os.unlink(union.top / name)
        assert_on(union.upper, name, left)
    eq((names(union.top), names(union.top / "d")), (["d"], ["sub"]))


@CASES.case([BELOW], everywhere=True)
def removal_of_a_lower_directory_leaves_a_whiteout(union: Union) -> None:
    shutil.rmtree(union.top / "d")
    assert_on(union.upper, "d", "whiteout")
    eq(names(union.top), ["f"])
    eq(sorted(os.listdir(union.lowers[0] / "d")), ["a", "sub"])


@CASES.case([BELOW], upper={"d/": tree.directory(), "d/own": "3", "d/sub/": tree.directory()})
def removal_of_a_merged_directory_leaves_a_whiteout(union: Union) -> None:
    shutil.rmtree(union.top / "d")
    assert_on(union.upper, "d", "whiteout")
    eq(names(union.top), ["f"])


@CASES.case([{"x": "1"}], upper={"d/": tree.directory(), "d/in": "2"})
def removal_of_an_upper_directory_leaves_nothing(union: Union) -> None:
    os.unlink(union.top / "d" / "in")
    os.rmdir(union.top / "d")
    assert_on(union.upper, "d", "absent")


@CASES.case([{"d/": tree.directory(), "d/a": "1"}], upper={"d/": tree.directory(), "d/a": tree.whiteout()})
def directory_with_whiteouts_only_is_empty_and_removable(union: Union) -> None:
    eq(names(union.top / "d"), [])
    os.rmdir(union.top / "d")
    assert_on(union.upper, "d", "whiteout")
    eq(names(union.top), [])


@CASES.case(
    [{"x": "1"}], upper={"d/": tree.directory(), "d/gone": tree.whiteout(), "d/sub/": tree.directory()}
)
def stale_whiteouts_do_not_block_removal(union: Union) -> None:
    eq(names(union.top / "d"), ["sub"])
    os.rmdir(union.top / "d" / "sub")
    os.rmdir(union.top / "d")
    assert_on(union.upper, "d", "absent")


@CASES.case([BELOW])
def file_made_again_replaces_the_whiteout(union: Union) -> None:
    os.unlink(union.top / "f")
    put(union.top / "f", "again")
    assert_on(union.upper, "f", "file")
    eq(read(union.top / "f"), b"again")
    os.unlink(union.top / "f")
    assert_on(union.upper, "f", "whiteout")
    os.symlink("x", union.top / "f")
    assert_on(union.upper, "f", "symlink")


@CASES.case([BELOW], everywhere=True)
def directory_made_again_is_opaque(union: Union) -> None:
    shutil.rmtree(union.top / "d")
    os.mkdir(union.top / "d")
    eq(names(union.top / "d"), [])
    assert_on(union.upper, "d", "dir")
    eq(overlay_xattr(union, union.upper / "d", "opaque"), b"y")
    put(union.top / "d" / "a", "new")
    eq((names(union.top / "d"), read(union.top / "d" / "a")), (["a"], b"new"))


@CASES.case([BELOW])
def directory_in_place_of_a_lower_file(union: Union) -> None:
    os.unlink(union.top / "f")
    os.mkdir(union.top / "f")
    put(union.top / "f" / "in", "x")
    eq(names(union.top / "f"), ["in"])
    shutil.rmtree(union.top / "f")
    assert_on(union.upper, "f", "whiteout")


@CASES.case(
    [{"d/": tree.directory(), "d/top": "t"}, {"d/": tree.directory(), "d/bottom": "b"}],
    upper={"d/": tree.opaque(), "d/own": "o"},
)
def opaque_upper_directory_hides_all_lowers(union: Union) -> None:
    eq(names(union.top / "d"), ["own"])
    for name in ("top", "bottom"):
        with fails(errno.ENOENT):
            os.stat(union.top / "d" / name)
    put(union.top / "d" / "top", "mine")
    os.unlink(union.top / "d" / "top")
    assert_on(union.upper, "d/top", "absent")


@CASES.case([{"d/": tree.opaque(), "d/top": "t"}, {"d/": tree.directory(), "d/bottom": "b"}])
def opaque_lower_directory_hides_what_is_below_it(union: Union) -> None:
    eq(names(union.top / "d"), ["top"])
    put(union.top / "d" / "new", "n")
    eq(names(union.top / "d"), ["new", "top"])


@CASES.case(
    [
        {"f": tree.whiteout(), "d/": tree.directory(), "d/x": tree.whiteout()},
        {"f": "1", "d/": tree.directory(), "d/x": "2", "d/y": "3"},
    ]
)
def whiteouts_on_a_lower_hide_what_is_below_it(union: Union) -> None:
    eq((names(union.top), names(union.top / "d")), (["d"], ["y"]))
    put(union.top / "f", "new")
    os.mkdir(union.top / "d" / "x")
    eq((read(union.top / "f"), names(union.top / "d" / "x")), (b"new", []))


@CASES.case(
    [{"a": "0", "b": "0", "x": "0"}, {"b": "1", "c": "1", "x": "1"}, {"c": "2", "d": "2", "x": "2"}],
    upper={"d": "u", "e": "u", "x": "u"},
)
def merged_listing_has_every_name_once_and_the_topmost(union: Union) -> None:
    eq(names(union.top), ["a", "b", "c", "d", "e", "x"])
    found = {name: read(union.top / name).decode() for name in names(union.top)}
    eq(found, {"a": "0", "b": "0", "c": "1", "d": "u", "e": "u", "x": "u"})


@CASES.case(
    [
        {"x/": tree.directory(), "x/top": "t", "y": "file"},
        {"x": "a file between", "y/": tree.directory(), "y/n": "n"},
        {"x/": tree.directory(), "x/bottom": "b"},
    ]
)
def other_type_between_layers_ends_the_merge(union: Union) -> None:
    eq(names(union.top / "x"), ["top"])
    eq(read(union.top / "y"), b"file")
    os.unlink(union.top / "y")
    with fails(errno.ENOENT):
        os.stat(union.top / "y" / "n")


@CASES.case(
    [{"outer/": tree.directory(), "outer/op/": tree.directory(), "outer/op/old": "1", "outer/keep": "k"}],
    everywhere=True,
)
def opaque_directory_removed_and_made_again_inside_another(union: Union) -> None:
    op = union.top / "outer" / "op"
    for turn in range(3):
        shutil.rmtree(op)
        os.mkdir(op)
        eq(names(op), [], f"turn {turn}")
        put(op / f"n{turn}")
    shutil.rmtree(union.top / "outer")
    os.mkdir(union.top / "outer")
    os.mkdir(op)
    eq((names(union.top / "outer"), names(op)), (["op"], []))
    os.rmdir(op)
    os.mkdir(op)
    eq(names(op), [])


@CASES.case([BELOW])
def rm_rf_and_mkdir_brings_nothing_back(union: Union) -> None:
    shutil.rmtree(union.top / "d")
    os.mkdir(union.top / "d")
    os.mkdir(union.top / "d" / "sub")
    eq(names(union.top / "d" / "sub"), [])
    with fails(errno.ENOENT):
        os.stat(union.top / "d" / "sub" / "b")
    os.rename(union.top / "d", union.top / "e")
    eq((names(union.top / "e"), names(union.top / "e" / "sub")), (["sub"], []))


@CASES.case([BELOW])
def rename_of_a_lower_file_leaves_a_whiteout(union: Union) -> None:
    os.rename(union.top / "f", union.top / "moved")
    assert_on(union.upper, "f", "whiteout")
    assert_on(union.upper, "moved", "file")
    eq(read(union.top / "moved"), b"lower")
    os.rename(union.top / "moved", union.top / "d" / "a")
    assert_on(union.upper, "moved", "absent")
    eq(read(union.top / "d" / "a"), b"lower")
    os.unlink(union.top / "d" / "a")
    assert_on(union.upper, "d/a", "whiteout")


@CASES.case([BELOW])
def no_tool_of_the_upper_shows_through(union: Union) -> None:
    os.unlink(union.top / "f")
    shutil.rmtree(union.top / "d")
    os.mkdir(union.top / "d")
    for path in (union.top, union.top / "d"):
        shown = [n for n in os.listxattr(path) if "overlay" in n]
        eq(shown, [])
    for entry in os.scandir(union.top):
        assert not stat.S_ISCHR(entry.stat(follow_symlinks=False).st_mode), entry.name


XATTR_WHITEOUT: tree.Tree = {
    "d/": tree.directory(overlay={"opaque": b"x"}),
    "d/a": tree.file("", overlay={"whiteout": b""}),
    "d/c": "c",
}


@CASES.case([XATTR_WHITEOUT, {"d/": tree.directory(), "d/a": "1", "d/b": "2"}], everywhere=True)
def xattr_whiteouts_hide(union: Union) -> None:
    eq(names(union.top / "d"), ["b", "c"])
    with fails(errno.ENOENT):
        os.stat(union.top / "d" / "a")
    put(union.top / "d" / "a", "new")
    eq(read(union.top / "d" / "a"), b"new")


@CASES.case([{".wh.f": "", "d/": tree.directory(), "d/.wh.a": "", "d/c": "c"}, BELOW], needs=OURS)
def wh_names_hide(union: Union) -> None:
    eq((names(union.top), names(union.top / "d")), (["d"], ["c", "sub"]))
    for name in ("f", "d/a", ".wh.f", "d/.wh.a"):
        with fails(errno.ENOENT):
            os.stat(union.top / name)
    put(union.top / "f", "new")
    eq(read(union.top / "f"), b"new")


@CASES.case([{"d/": tree.directory(), "d/.wh..wh..opq": "", "d/c": "c"}, BELOW], needs=OURS)
def wh_opq_is_opaque(union: Union) -> None:
    eq(names(union.top / "d"), ["c"])
    with fails(errno.ENOENT):
        os.stat(union.top / "d" / "a")


FUSE_OPAQUE = {"user.fuseoverlayfs.opaque": b"y"}


@CASES.case([{"d/": tree.directory(xattrs=FUSE_OPAQUE), "d/c": "c"}, BELOW], needs=OURS)
def fuse_overlayfs_opaque_is_opaque(union: Union) -> None:
    eq(names(union.top / "d"), ["c"])


@CASES.case([{"d/": tree.directory(xattrs={"user.overlay.opaque": b"y"}), "d/c": "c"}, BELOW], needs=OURS)
def user_overlay_opaque_is_opaque(union: Union) -> None:
    eq(names(union.top / "d"), ["c"])


@CASES.case([BELOW], upper={".wh.f": "", "d/": tree.directory(), "d/.wh.a": "", "d/.wh.sub": ""}, needs=OURS)
def wh_names_on_the_upper_hide_and_go(union: Union) -> None:
    eq((names(union.top), names(union.top / "d")), (["d"], []))
    put(union.top / "f", "new")
    eq((read(union.top / "f"), names(union.top)), (b"new", ["d", "f"]))
    os.rmdir(union.top / "d")
    eq(names(union.top), ["f"])
