"""Where the runtime keeps its things: the XDG base directories, and what stands in for them.

Theory.  A session without systemd (ssh, slurm, cron) has no XDG_RUNTIME_DIR; then a directory
below TMPDIR that belongs to us alone takes its place.  Nothing here creates anything.
"""

from __future__ import annotations

import os

from lamina_runtime.fspath import Path
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "lamina"


@value
class Directories:
    """One user's places."""

    data: Path  # images; survives reboots
    config: Path
    run: Path  # sockets, locks, mounts; gone after a reboot


def directories(environment: Mapping[str, str], *, uid: int) -> Directories:
    """Return the places of the user `uid` under `environment`; as root they are the system's."""
    if uid == 0:
        return Directories(Path("/var/lib") / NAME, Path("/etc") / NAME, Path("/run") / NAME)
    home = Path(environment.get("HOME", "/"))
    temporary = Path(environment.get("TMPDIR", "/tmp"))
    runtime = _absolute(environment, "XDG_RUNTIME_DIR")
    return Directories(
        data=(_absolute(environment, "XDG_DATA_HOME") or home / ".local/share") / NAME,
        config=(_absolute(environment, "XDG_CONFIG_HOME") or home / ".config") / NAME,
        run=runtime / NAME if runtime else temporary / f"{NAME}-{uid}",
    )


def user_id() -> int:
    """Return whose places are ours: as root of a user namespace, those of the user who made it."""
    uid = os.geteuid()
    if uid == 0:
        try:
            with open("/proc/self/uid_map", "rb") as file:
                inside, outside, _ = map(int, file.readline().split())
        except (OSError, ValueError):
            return uid
        uid = outside if inside == 0 else uid
    return uid


def _absolute(environment: Mapping[str, str], name: str) -> Path | None:
    """Return a variable's path; the XDG specification says to ignore relative ones."""
    value = environment.get(name, "")
    return Path(value) if os.path.isabs(value) else None
