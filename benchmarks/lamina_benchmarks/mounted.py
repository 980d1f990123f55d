"""What is mounted, read as text so that no server of a mount is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of mountinfo."""

    at: Path
    kind: str


def entries() -> list[Entry]:
    """Return all mounts of this namespace, in the order in which they were made."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    found = []
    for line in text.split("\n")[:-1]:
        left, _, right = line.partition(" - ")
        found.append(Entry(Path(_plain(left.split(" ")[4])), right.split(" ")[0]))
    return found


def below(top: Path) -> list[Path]:
    """Return the mount points below a directory, in the order in which they were mounted."""
    return [entry.at for entry in entries() if top in entry.at.parents]


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
