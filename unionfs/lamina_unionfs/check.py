"""`lamina-unionfs check UPPER`: what an upper uses, so that its user knows who can mount it.

An unprivileged kernel overlayfs (userxattr) follows neither redirects nor metacopy; everything
else it takes.  Reading is all that happens here, and nothing is followed out of the upper.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from lamina_unionfs.errors import DriverError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAMESPACES = ("trusted.overlay.", "user.overlay.")
MAX_DEPTH = 2048  # directories inside one another; PATH_MAX allows no more
FEATURES = {
    "redirect": "renamed directories (redirect)",
    "metacopy": "files without their data (metacopy)",
    "opaque": "opaque directories",
    "whiteout": "whiteouts",
    "xwhiteout": "whiteouts as extended attributes",
    "index": "hard links kept by an index",
}
ONLY_PRIVILEGED = ("redirect", "metacopy")


def main(argv: Sequence[str]) -> int:
    """Print one line a feature; return 0."""
    if len(argv) != 1:
        raise UsageError("check needs one directory (see --help)")
    from lamina_unionfs import output

    found = survey(argv[0])
    for feature, meaning in FEATURES.items():
        paths = found.get(feature, [])
        example = f"  e.g. {paths[0]}" if paths else ""
        output.line(f"{feature:10} {len(paths):8}  {meaning}{example}")
    if any(found.get(feature) for feature in ONLY_PRIVILEGED):
        output.line("An unprivileged kernel overlayfs does not follow redirect and metacopy.")
    return 0


def survey(upper: str) -> dict[str, list[str]]:
    """Return, for each feature, the paths below `upper` that use it."""
    found: dict[str, list[str]] = {feature: [] for feature in FEATURES}
    try:
        root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise DriverError(f"{upper}: {error.strerror}") from error
    try:
        for path, features in _walk(root):
            for feature in features:
                found[feature].append(path)
    finally:
        os.close(root)
    return found


def _walk(root: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each object's path and features; descriptors lead the way, links do not."""
    for directory, _, files, fd in os.fwalk(".", dir_fd=root, follow_symlinks=False):
        if directory.count("/") > MAX_DEPTH:
            raise DriverError(f"{directory}: directories lie too deep")
        yield directory, of_open(fd)
        for name in files:
            yield f"{directory}/{name}", of_name(fd, name)


def of_name(parent: int, name: str) -> list[str]:
    """Return the features of what is no directory."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return []
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return ["whiteout"]
    if not stat.S_ISREG(status.st_mode):
        return []
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    try:
        return of_open(fd)
    finally:
        os.close(fd)


def of_open(fd: int) -> list[str]:
    """Return the features that an object's attributes show."""
    features = []
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM):
            return []
        raise
    for name in names:
        for namespace in NAMESPACES:
            if name.startswith(namespace):
                features += _feature(name[len(namespace) :], os.getxattr(fd, name))
    return features


def _feature(name: str, value: bytes) -> list[str]:
    if name == "opaque":
        return ["opaque"] if value == b"y" else []
    if name in ("redirect", "metacopy"):
        return [name]
    if name == "whiteout":
        return ["xwhiteout"]
    return ["index"] if name == "nlink" else []
