"""How a target looks in every picture: one colour and one mark, families in related colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lamina_benchmarks.columns import KERNEL, PEER

INK, SOFT, FAINT = "#1f2430", "#6b7280", "#e5e7eb"
GOOD, BAD = "#e8f5ec", "#fdf0ee"
FONT: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Source Sans 3", "Noto Sans", "DejaVu Sans"],
    "font.size": 9.5,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "lamina",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A target's colour, mark and name in legends."""

    colour: str
    mark: str
    label: str
    lift: float = 0.0  # from the middle of its line, where several would cover each other


_LOOKS = {
    "bare": Look("#9ca3af", ".", "bare directory"),
    KERNEL: Look("#111827", "s", "kernel overlayfs"),
    PEER: Look("#8b93a1", "X", "fuse-overlayfs"),
    "fuse-overlayfs-userns": Look("#c0a9b0", "X", "fuse-overlayfs, user namespace"),
    "lamina": Look("#1d4ed8", "o", "lamina, root", -0.24),
    "lamina-passthrough": Look("#0891b2", "D", "lamina, root, passthrough=on", -0.08),
    "lamina-unprivileged": Look("#ea9a1b", "v", "lamina, root, passthrough=off", 0.08),
    "lamina-userns": Look("#c2410c", "^", "lamina, user namespace", 0.24),
    "lamina-pyfuse3": Look("#a855f7", "P", "lamina, engine=pyfuse3"),
}
_OTHER = Look("#4b5563", "o", "")


def of(name: str) -> Look:
    """Return the look of a target."""
    look = _LOOKS.get(name, _OTHER)
    return look if look.label else Look(look.colour, look.mark, name)
