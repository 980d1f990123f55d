"""All tables by theme, and the function that runs one case in an agent's child."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conformance import (
    posix_access,
    posix_acl,
    posix_data,
    posix_flags,
    posix_identity,
    posix_link,
    posix_locks,
    posix_mmap,
    posix_mode,
    posix_names,
    posix_open,
    posix_readdir,
    posix_remove,
    posix_rename,
    posix_times,
    posix_xattr,
    union_copyup,
    union_redirect,
    union_whiteout,
)
from tests.conformance.case import Table, Union, UnionTable

POSIX: dict[str, Table] = {
    "names": posix_names.CASES,
    "open": posix_open.CASES,
    "data": posix_data.CASES,
    "mmap": posix_mmap.CASES,
    "locks": posix_locks.CASES,
    "remove": posix_remove.CASES,
    "rename": posix_rename.CASES,
    "link": posix_link.CASES,
    "times": posix_times.CASES,
    "mode": posix_mode.CASES,
    "acl": posix_acl.CASES,
    "xattr": posix_xattr.CASES,
    "readdir": posix_readdir.CASES,
    "identity": posix_identity.CASES,
    "access": posix_access.CASES,
    "flags": posix_flags.CASES,
}
UNIONS: dict[str, UnionTable] = {
    "whiteout": union_whiteout.CASES,
    "copyup": union_copyup.CASES,
    "redirect": union_redirect.CASES,
}


def run_posix(theme: str, name: str, top: Path) -> None:
    """Run a case in its directory."""
    os.chdir("/")
    POSIX[theme][name].run(top)


def run_union(theme: str, name: str, union: Union) -> None:
    """Run a union case."""
    os.chdir("/")
    UNIONS[theme][name].run(union)
