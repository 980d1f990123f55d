"""What is measured side by side.

As root all can be had.  A plain user measures inside a user namespace, where every server has
what any user can have; there the names stand for the same programs under those conditions.
"""

from __future__ import annotations

from dataclasses import dataclass

KERNEL = "kernel"
PEER = "fuse-overlayfs"


@dataclass(frozen=True, slots=True)
class Column:
    """A target; 'goal' says which of a row's goals it is held to.

    With 'namespace' server and client run in a user namespace of their own, where they have
    what any user can have.
    """

    name: str
    kind: str  # "bare", "overlay", "lamina", "fuse-overlayfs"
    options: tuple[str, ...] = ()
    goal: str = ""  # "root", "user"
    namespace: bool = False
    about: str = ""

    @property
    def ours(self) -> bool:
        """Say whether it is our driver with the engine that counts requests."""
        return self.kind == "lamina" and "engine=pyfuse3" not in self.options


_ROOT_OPTIONS = ("redirect_dir=on", "metacopy=on", "index=on", "xino=auto")
_ROOT = (
    Column("bare", "bare", about="a directory without a union"),
    Column(KERNEL, "overlay", _ROOT_OPTIONS, about="kernel overlayfs"),
    Column(PEER, "fuse-overlayfs", about="fuse-overlayfs, as root"),
    Column("lamina", "lamina", goal="root", about="lamina-unionfs as root, default options"),
    Column("lamina-passthrough", "lamina", ("passthrough=on",), goal="root", about="as root, passthrough=on"),
    Column(
        "lamina-unprivileged", "lamina", ("passthrough=off",), goal="user", about="as root, passthrough=off"
    ),
    Column("lamina-userns", "lamina", (), goal="user", namespace=True, about="in a user namespace"),
    Column("lamina-io-uring", "lamina", ("io_uring",), goal="root", about="as root, requests over io_uring"),
    Column("lamina-pyfuse3", "lamina", ("engine=pyfuse3",), about="as root, engine=pyfuse3"),
    Column(
        "fuse-overlayfs-userns", "fuse-overlayfs", (), namespace=True,
        about="fuse-overlayfs in a user namespace",
    ),
)  # fmt: skip
_USER = (
    Column("bare", "bare", about="a directory without a union"),
    Column(KERNEL, "overlay", ("userxattr",), about="kernel overlayfs in a user namespace"),
    Column(PEER, "fuse-overlayfs", about="fuse-overlayfs in a user namespace"),
    Column("lamina-userns", "lamina", goal="user", about="lamina-unionfs in a user namespace"),
    Column("lamina-pyfuse3", "lamina", ("engine=pyfuse3",), about="the same with engine=pyfuse3"),
)
# Without what differs from another only by asking for what is the default: passthrough=off.
USUAL = (KERNEL, PEER, "lamina", "lamina-passthrough", "lamina-userns")


def table(*, rootless: bool) -> dict[str, Column]:
    """Return all targets by name, in the order in which they are reported."""
    return {column.name: column for column in (_USER if rootless else _ROOT)}
