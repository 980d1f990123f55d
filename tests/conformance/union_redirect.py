"""Directories that were renamed: redirects, written and read."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from tests.conformance.case import Union, UnionTable
from tests.conformance.check import eq, fails, names, opened, put, read
from tests.conformance.union_whiteout import overlay_xattr
from tests.support import tree
from tests.support.dump import assert_on

CASES = UnionTable()
BELOW: tree.Tree = {
    "d/": tree.directory(mode=0o750),
    "d/f": "f",
    "d/in/": tree.directory(),
    "d/in/g": "g",
    "d/in/deep/": tree.directory(),
    "d/in/deep/h": "h",
}


@CASES.case([BELOW], everywhere=True)
def renamed_lower_directory_is_redirected_not_copied(union: Union) -> None:
    os.rename(union.top / "d", union.top / "e")
    assert_on(union.upper, "d", "whiteout")
    assert_on(union.upper, "e", "dir")
    assert_on(union.upper, "e/f", "absent")
    assert overlay_xattr(union, union.upper / "e", "redirect") is not None
    eq((names(union.top / "e"), read(union.top / "e" / "in" / "deep" / "h")), (["f", "in"], b"h"))
    eq(os.stat(union.upper / "e").st_mode & 0o777, 0o750)


@CASES.case([BELOW], upper={"d/": tree.directory(), "d/own": "o", "d/f": tree.whiteout()})
def renamed_merged_directory_loses_nothing(union: Union) -> None:
    os.rename(union.top / "d", union.top / "e")
    eq((names(union.top / "e"), names(union.top / "e" / "in")), (["in", "own"], ["deep", "g"]))
    put(union.top / "e" / "f", "new")
    eq(read(union.top / "e" / "f"), b"new")


@CASES.case([BELOW])
def chain_of_renames_keeps_the_content(union: Union) -> None:
    os.rename(union.top / "d" / "in", union.top / "in")
    os.rename(union.top / "in" / "deep", union.top / "d" / "deep")
    os.rename(union.top / "d", union.top / "in" / "d")
    os.rename(union.top / "in", union.top / "x")
    eq((names(union.top), names(union.top / "x")), (["x"], ["d", "g"]))
    eq((names(union.top / "x" / "d"), read(union.top / "x" / "d" / "deep" / "h")), (["deep", "f"], b"h"))


@CASES.case([BELOW])
def old_name_of_a_renamed_directory_is_free(union: Union) -> None:
    os.rename(union.top / "d", union.top / "e")
    os.mkdir(union.top / "d")
    eq(names(union.top / "d"), [])
    put(union.top / "d" / "f", "new")
    eq((read(union.top / "e" / "f"), read(union.top / "d" / "f")), (b"f", b"new"))
    shutil.rmtree(union.top / "d")
    os.rename(union.top / "e", union.top / "d")
    eq((names(union.top / "d"), read(union.top / "d" / "f")), (["f", "in"], b"f"))


@CASES.case([BELOW])
def removed_redirect_brings_nothing_back(union: Union) -> None:
    os.rename(union.top / "d", union.top / "e")
    shutil.rmtree(union.top / "e")
    eq(names(union.top), [])
    for name in ("d", "e"):
        os.mkdir(union.top / name)
        eq(names(union.top / name), [], name)


@CASES.case([BELOW])
def content_of_a_redirected_directory_changes(union: Union) -> None:
    os.rename(union.top / "d", union.top / "e")
    with opened(union.top / "e" / "in" / "g", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")
    os.unlink(union.top / "e" / "f")
    os.rename(union.top / "e" / "in" / "deep", union.top / "e" / "in" / "deeper")
    eq((names(union.top / "e"), names(union.top / "e" / "in")), (["in"], ["deeper", "g"]))
    eq((read(union.top / "e" / "in" / "g"), read(union.top / "e" / "in" / "deeper" / "h")), (b"g+", b"h"))


@CASES.case([BELOW], upper={"e/": tree.redirect("d"), "d": tree.whiteout()})
def redirect_of_another_writer_is_followed(union: Union) -> None:
    eq((names(union.top), names(union.top / "e")), (["e"], ["f", "in"]))
    eq(read(union.top / "e" / "in" / "g"), b"g")
    os.unlink(union.top / "e" / "f")
    assert_on(union.upper, "e/f", "whiteout")


@CASES.case([{"e/": tree.redirect("d"), "d": tree.whiteout(), "e/own": "o"}, BELOW])
def redirect_on_a_lower_is_followed(union: Union) -> None:
    eq((names(union.top), names(union.top / "e")), (["e"], ["f", "in", "own"]))
    eq(read(union.top / "e" / "in" / "g"), b"g")


@CASES.case([BELOW, {"d/": tree.directory(), "d/bottom": "b"}])
def redirect_reaches_every_lower(union: Union) -> None:
    os.rename(union.top / "d", union.top / "e")
    eq(names(union.top / "e"), ["bottom", "f", "in"])
    eq(read(union.top / "e" / "bottom"), b"b")


@CASES.case([BELOW])
def directory_of_a_redirect_cannot_swallow_itself(union: Union) -> None:
    os.rename(union.top / "d", union.top / "e")
    with fails(errno.EINVAL):
        os.rename(union.top / "e", union.top / "e" / "in" / "e")
    os.rename(union.top / "e" / "in", union.top / "in")
    os.rename(union.top / "e", union.top / "in" / "e")
    eq((names(union.top), names(union.top / "in")), (["in"], ["deep", "e", "g"]))


# Directories of one layer alone: nothing is left of the parent below, only the redirect leads there.
_APART: tree.Tree = {
    "new/": tree.opaque(),
    "new/e/": tree.redirect("/redirect_out_of_a_directory_that_ends_here/d"),
    "new/e/own": "o",
    "d": tree.whiteout(),
}


@CASES.case([_APART, {"other/": tree.directory()}, BELOW])
def redirect_out_of_a_directory_that_ends_here(union: Union) -> None:
    eq((names(union.top), names(union.top / "new" / "e")), (["new", "other"], ["f", "in", "own"]))
    eq(read(union.top / "new" / "e" / "in" / "g"), b"g")
    _append(union.top / "new" / "e" / "f")
    eq((read(union.top / "new" / "e" / "f"), read(union.top / "new" / "e" / "own")), (b"f+", b"o"))


def _append(path: Path) -> None:
    with opened(path, os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"+")


def _attributes_only(name: str) -> tree.Entry:
    marks = {"metacopy": b"", "redirect": f"/metadata_alone_leads_on_from_layer_to_layer/{name}".encode()}
    return tree.file(mode=0o600, size=5, overlay=marks)


@CASES.case(
    [
        {
            "new/": tree.directory(overlay={"opaque": b"y", "impure": b"y"}),
            "new/f": _attributes_only("newer/f"),
            "newer/f": tree.whiteout(),
        },
        {
            "newer/": tree.directory(overlay={"opaque": b"y", "impure": b"y"}),
            "newer/f": _attributes_only("f"),
            "f": tree.whiteout(),
        },
        {"f": "below"},
    ],
    needs=["uids"],
)
def metadata_alone_leads_on_from_layer_to_layer(union: Union) -> None:
    eq(
        (names(union.top), names(union.top / "new"), names(union.top / "newer")),
        (["new", "newer"], ["f"], []),
    )
    eq((read(union.top / "new" / "f"), os.stat(union.top / "new" / "f").st_mode & 0o777), (b"below", 0o600))
    _append(union.top / "new" / "f")
    eq(read(union.top / "new" / "f"), b"below+")
