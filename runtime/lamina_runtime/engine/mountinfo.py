"""What is mounted, from /proc/self/mountinfo: no mount is touched to find out, so none can block."""

from __future__ import annotations

import os

from lamina_runtime.value import value


@value
class Entry:
    """One mount that this process sees."""

    place: str
    kind: str
    source: str


def entries(process: str = "self") -> list[Entry]:
    """Return all mounts that a process sees, the oldest first."""
    found = []
    with open(f"/proc/{process}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.rstrip("\n").partition(" - ")
            kind, source = right.split(" ")[:2]
            found.append(Entry(_plain(left.split(" ")[4]), kind, _plain(source)))
    return found


def at(place: str) -> Entry | None:
    """Return the topmost mount exactly at a place."""
    return next((entry for entry in reversed(entries()) if entry.place == place), None)


def seen_elsewhere(place: str, kind: str) -> bool:
    """Tell whether a process in another mount namespace sees such a mount; others' are not always shown."""
    ours = os.readlink("/proc/self/ns/mnt")
    looked: set[str] = set()
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            namespace = os.readlink(f"/proc/{process}/ns/mnt")
            if namespace == ours or namespace in looked:
                continue
            looked.add(namespace)
            if any(entry.place == place and entry.kind == kind for entry in entries(process)):
                return True
        except OSError:  # it ended, or is not ours
            continue
    return False


def _plain(text: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    for code, letter in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{code}", letter)
    return text
