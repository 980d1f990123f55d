"""What is measured side by side."""

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


_KERNEL_OPTIONS = ("redirect_dir=on", "metacopy=on", "index=on", "xino=auto")
COLUMNS = {
    column.name: column
    for column in (
        Column("bare", "bare"),
        Column(KERNEL, "overlay", _KERNEL_OPTIONS),
        Column(PEER, "fuse-overlayfs"),
        Column("lamina", "lamina", goal="root"),
        Column("lamina-passthrough", "lamina", ("passthrough=on",), goal="root"),
        Column("lamina-unprivileged", "lamina", ("passthrough=off",), goal="user"),
        Column("lamina-userns", "lamina", (), goal="user", namespace=True),
        Column("lamina-pyfuse3", "lamina", ("engine=pyfuse3",)),
        Column("fuse-overlayfs-userns", "fuse-overlayfs", (), namespace=True),
    )
}
USUAL = (KERNEL, PEER, "lamina", "lamina-passthrough", "lamina-unprivileged", "lamina-userns")
