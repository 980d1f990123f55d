"""Questions to a running mount, asked by getxattr(2) on any of its files.

    user.lamina.why    on which layers this object lies, one line a layer, topmost first
    user.lamina.stats  what the mount has counted, JSON

They are answered, never stored and never listed, so that no copy takes them along.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lamina_native import stats, verbs

if TYPE_CHECKING:
    from lamina_native.verbs import NodeId

    from lamina_unionfs.filesystem import Filesystem

PREFIX = b"user.lamina."
WHY = PREFIX + b"why"
STATS = PREFIX + b"stats"


def is_control(name: bytes) -> bool:
    """Whether an attribute's name is one of ours."""
    return name.startswith(PREFIX)


def answer(fs: Filesystem, node: NodeId, name: bytes) -> bytes | None:
    """Answer a control request; None if `name` is none."""
    if name == WHY:
        return verbs.why(fs.core, node).encode("utf-8", "replace")
    if name == STATS:
        numbers: dict[str, object] = {"engine": fs.options.engine, "core": stats.core_stats(fs.core)}
        if fs.server is not None:
            numbers["server"] = stats.server_stats(fs.server)
        return json.dumps(numbers, sort_keys=True).encode("ascii")
    return None
