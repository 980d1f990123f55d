"""The one place where a difference to kernel overlayfs is let pass, each with its reason.

A filter sees the operation and both outcomes, or one line of a tree comparison, and answers
with its reason or "".  What is better here than in the kernel is also listed: the oracle is
kernel overlayfs as it is, not as its documentation wishes it were.
"""

import os
import re
import stat
from collections.abc import Callable

from tests.differential import acl
from tests.differential.operations import Op, Outcome

OutcomeFilter = Callable[[Op, Outcome, Outcome], str]


def _pairs(expected: object, found: object) -> bool:
    """Say whether both are (same first, outcome), as wrapped operations answer."""
    if not isinstance(expected, tuple) or not isinstance(found, tuple):
        return False
    if len(expected) != 2 or len(found) != 2 or expected[0] != found[0]:
        return False
    return isinstance(expected[1], tuple) and isinstance(found[1], tuple)


def _mtime_of_metacopy(op: Op, expected: Outcome, found: Outcome) -> str:
    """Excuse an outcome that differs in a fresh mtime of a file only."""
    if expected[0] != "ok" or found[0] != "ok":
        return ""
    if _pairs(expected[1], found[1]):
        return _mtime_of_metacopy(op, expected[1][1], found[1][1])
    ours, theirs = found[1], expected[1]
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return ""
    # After uppers have been exchanged the kernel's mtime shows on our side.
    fresh = "fresh" in (ours.get("mtime"), theirs.get("mtime"))
    same = fresh and ours.get("type") == "file" and ours | {"mtime": ""} == theirs | {"mtime": ""}
    return _METACOPY_MTIME if same else ""


def _mtime_line_of_metacopy(line: str) -> str:
    return _METACOPY_MTIME if _FILE_MTIME.search(line) else ""


_METACOPY_MTIME = (
    "when the kernel copies up the data of a metacopy it forgets the mtime that was there, though"
    " nothing was written yet; ours keeps it"
)
_FILE_MTIME = re.compile(
    r"^'.*': mtime of a file: (fresh != .*|.* != fresh)$", re.DOTALL
)  # either side's upper


def _seek_of_real_directory(op: Op, expected: Outcome, found: Outcome) -> str:
    """Excuse a scan in which only the kernel loses or repeats a name after seekdir."""
    if inner(op)[0] != "dirscan" or not isinstance(expected[1], dict) or not isinstance(found[1], dict):
        return ""
    if found[1].get("once after seek") is True and expected[1] | {"once after seek": True} == found[1]:
        return "the kernel hands out the positions of the layer below (tmpfs), which move when names go"
    return ""


def _rename_of_directory(op: Op, expected: Outcome, found: Outcome) -> str:
    errors = (("errno", "EXDEV"), ("errno", "ENOTEMPTY"))
    answers = (expected, found)
    if op[0] == "as_user":
        answers = (expected[1], found[1])
    if inner(op)[0] == "rename" and answers == errors:
        return "without redirects the directory cannot move, and the target is not empty: both are right"
    return ""


def _gone_directory(op: Op, expected: Outcome, found: Outcome) -> str:
    """Excuse another errno for a change of a lower directory that has been removed."""
    accidents = {("errno", "EIO"), ("errno", "ENOTDIR"), ("errno", "ENOENT")}
    if inner(op)[0] not in ("fchmod", "fchown", "futimens", "fsetxattr"):
        return ""
    if ({expected[1], found[1]} if op[0] == "as_user" else {expected, found}) <= accidents:
        return "a removed lower directory cannot be changed; which errno says so is an accident in the kernel"
    return ""


def _gone_file(op: Op, expected: Outcome, found: Outcome) -> str:
    """Excuse a change that only the kernel refuses, of a lower file that has been removed."""
    refused = expected in (("errno", "ENOENT"), ("errno", "EEXIST")) and found[0] == "ok"
    if inner(op)[0] in ("fchmod", "fchown", "futimens", "fsetxattr") and refused:
        return "an open lower file without a name is copied up nameless here; the kernel has no place for it"
    return ""


def _set_ids_of_outcome(op: Op, expected: Outcome, found: Outcome) -> str:
    """The same as a line of a tree: see _set_ids_of_passthrough."""
    if expected[0] != "ok" or found[0] != "ok":
        return ""
    if _pairs(expected[1], found[1]):
        return _set_ids_of_outcome(op, expected[1][1], found[1][1])
    ours, theirs = found[1], expected[1]
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or "mode" not in ours:
        return ""
    if ours | {"mode": ""} != theirs | {"mode": ""}:
        return ""
    return _set_ids_of_passthrough(f"'': mode of a file: {theirs['mode']} != {ours['mode']}")


def _capability_outcome_after_mmap(op: Op, expected: Outcome, found: Outcome) -> str:
    """Excuse that one side has no file capabilities to show or to remove: see _capability_after_mmap."""
    verb = inner(op)
    gone = ("errno", "ENODATA")
    if verb[0] not in ("getxattr", "removexattr") or verb[-1] != "security.capability":
        return ""
    pair = (expected[1], found[1]) if op[0] == "as_user" else (expected, found)
    return _CAPABILITY_AFTER_MMAP if gone in pair and pair[0] != pair[1] else ""


def _links_of_open_lower_file(op: Op, expected: Outcome, found: Outcome) -> str:
    """Excuse that only ours says that a file which was opened on a lower has no name any more."""
    ours, theirs = found[1], expected[1]
    if inner(op)[0] != "fstat" or not isinstance(ours, dict) or not isinstance(theirs, dict):
        return ""
    unlike = {"nlink": 0, "mtime": ""}  # which of two files futimens changed shows too
    if 0 not in (ours.get("nlink"), theirs.get("nlink")) or ours | unlike != theirs | unlike:
        return ""  # either side: uppers are exchanged
    return "the kernel's descriptor stays on the lower file (docs/conformance.md#kernel-open-lower-file)"


def _no_acl_to_remove(op: Op, expected: Outcome, found: Outcome) -> str:
    """Excuse two answers to the removal of an ACL that is not there; a tree would show one that is."""
    verb, missing = inner(op), ("errno", "ENODATA")
    pair = (expected[1], found[1]) if op[0] == "as_user" else (expected, found)
    if verb[0] != "removexattr" or not verb[-1].startswith("system.posix_acl_") or missing not in pair:
        return ""
    return "it succeeds on an upper and not on a lower, and to open for writing copies up later here"


OUTCOME_FILTERS: tuple[OutcomeFilter, ...] = (
    _mtime_of_metacopy,
    _seek_of_real_directory,
    _rename_of_directory,
    _gone_directory,
    _gone_file,
    _set_ids_of_outcome,
    _capability_outcome_after_mmap,
    _links_of_open_lower_file,
    _no_acl_to_remove,
)
_MODES = re.compile(r"^'.*': mode of a file: 0o(\d+) != 0o(\d+)$", re.DOTALL)


def _set_ids_of_passthrough(line: str) -> str:
    """Excuse set-user-ID and set-group-ID that only ours has cleared."""
    found = _MODES.search(line)
    if not found or int(found[1], 8) & ~0o6000 != int(found[2], 8) & ~0o6000:
        return ""  # either side: uppers are exchanged
    return (
        "a file that gets set-user-ID while it is open for writing in passthrough loses it at the next"
        " write even of root: the kernel writes past the server (docs/conformance.md#set-ids-in-passthrough)"
    )


def _capability_after_mmap(line: str) -> str:
    if "xattrs of a file" not in line or line.count("security.capability") != 1:
        return ""
    return _CAPABILITY_AFTER_MMAP


_CAPABILITY_AFTER_MMAP = (
    "pages written through a mapping reach the upper by write(2), which takes file capabilities"
    " (docs/conformance.md#capabilities-after-mmap)"
)


LINE_FILTERS: tuple[Callable[[str], str], ...] = (
    _mtime_line_of_metacopy,
    _set_ids_of_passthrough,
    _capability_after_mmap,
)


_SPECIAL_ORIGIN = (
    "symlinks, fifos, sockets and devices take no user.overlay.* xattr, so with userxattr the kernel"
    " cannot keep what two names of one of them have in common: other st_ino, other link count, and"
    " an index that fails to mount"
)


def _special(path: str) -> bool:
    """Say whether there is an object that is neither file nor directory."""
    try:
        kind = stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return False
    return kind not in (stat.S_IFREG, stat.S_IFDIR)


_LONGEST_REDIRECT = (
    180  # the kernel's redirect_max is 256, of a path that earlier renames may have lengthened
)


def oracle_gives_up(flavour: str, words: str) -> str:
    """Say why kernel overlayfs may refuse an upper that is all right; "" if it may not."""
    if flavour == "user" and "No data available" in words:
        return _SPECIAL_ORIGIN
    return ""


def _has_default_acl(directory: str) -> bool:
    try:
        os.getxattr(directory, acl.DEFAULT)
    except OSError:
        return False
    return True


def unsupported(op: Op, target: str, root: str) -> str:
    """Say why a driver has no such operation; "" if it has."""
    if target != "lamina-pyfuse3":
        return ""
    match inner(op):
        case (("fallocate" | "ffallocate" | "tmpfile"), *_):
            return "pyfuse3 has no handler for it (docs/conformance.md#pyfuse3-lacks-handlers)"
        case (("mkdir" | "create" | "mknod"), path, *_) if _has_default_acl(
            os.path.dirname(f"{root}/{path}")
        ):
            return "the umask comes before a default ACL (docs/conformance.md#pyfuse3-masks-first)"
    return ""


def avoided(op: Op, flavour: str, root: str) -> str:
    """Say why an operation is not played at all, since what it changes may differ; "" if it is."""
    match inner(op):
        case ("link", source, _) if flavour == "user" and _special(f"{root}/{source}"):
            return _SPECIAL_ORIGIN
        case (("link" | "rename"), source, *_) if len(os.fsencode(source)) >= _LONGEST_REDIRECT:
            return (
                "where the path to the data is longer than a redirect may be, the kernel says EXDEV and ours"
                " copies the data"
            )
        case (("chown" | "chmod" | "utimens" | "rename"), source, *_) if flavour == "user" and _special(
            f"{root}/{source}"
        ):
            return _SPECIAL_ORIGIN
        case ("chown", _, -1, -1):
            return (
                "chown(2) to nobody clears setuid and setgid of a file; the kernel does not tell FUSE"
                " (FATTR_KILL_SUIDGID comes with FATTR_UID or FATTR_GID only)"
            )
    return ""


def inner(op: Op) -> Op:
    """Strip the wrappers off an operation."""
    while op[0] in ("as_user", "same_ino"):
        op = op[-1]
    return op


def excuse(op: Op, expected: Outcome, found: Outcome) -> str:
    """Say why a different outcome is all right; "" if it is not."""
    return next((reason for check in OUTCOME_FILTERS if (reason := check(op, expected, found))), "")


def inexcusable(lines: list[str]) -> list[str]:
    """Keep the lines of a tree comparison that no filter explains."""
    return [line for line in lines if not any(check(line) for check in LINE_FILTERS)]
