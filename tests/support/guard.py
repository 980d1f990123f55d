"""What a session must not leave behind: mounts, processes, descriptors."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import mounts


def descriptors() -> set[str]:
    """Return what our descriptors point at, for a comparison before and after."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name}:{os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return found


def processes(top: Path) -> list[str]:
    """Return the processes whose command line names something below 'top'."""
    found = []
    needle = os.fsencode(top)
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            words = Path(f"/proc/{entry}/cmdline").read_bytes()
        except OSError:
            continue
        if needle in words:
            found.append(f"{entry}: {words.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def leftovers(top: Path) -> list[str]:
    """Return what is still mounted under or running below 'top', and unmount it lazily."""
    left = [entry for entry in mounts.below(top) if entry.path != str(top)]
    for entry in reversed(left):
        mounts.detach(entry)
    return [f"mount: {entry.path}" for entry in left] + [f"process: {text}" for text in processes(top)]
