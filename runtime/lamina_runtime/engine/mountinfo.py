"""What is mounted, from /proc/self/mountinfo: no mount is touched to find out, so none can block."""

from __future__ import annotations

from lamina_runtime.value import value


@value
class Entry:
    """One mount that this process sees."""

    place: str
    kind: str
    source: str


def entries() -> list[Entry]:
    """Return all mounts, the oldest first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.rstrip("\n").partition(" - ")
            kind, source = right.split(" ")[:2]
            found.append(Entry(_plain(left.split(" ")[4]), kind, _plain(source)))
    return found


def at(place: str) -> Entry | None:
    """Return the topmost mount exactly at a place."""
    return next((entry for entry in reversed(entries()) if entry.place == place), None)


def _plain(text: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    for code, letter in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{code}", letter)
    return text
