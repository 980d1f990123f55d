"""`lamina info`."""

from __future__ import annotations

import os
import sys

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("info", "system info"), "[OPTIONS]", "Display system-wide information", flags=(common.FORMAT_ONE,)
)
TITLES = {
    "ContainersRunning": " Running",
    "ContainersPaused": " Paused",
    "ContainersStopped": " Stopped",
    "ServerVersion": "Version",
    "PythonVersion": "Python version",
    "KernelVersion": "Kernel version",
    "OSType": "OS type",
    "NCPU": "CPUs",
    "Root": "Root",
    "RunDirectory": "Run directory",
    "User": "User",
    "Fuse": "/dev/fuse",
    "KernelErofs": "Kernel EROFS",
    "ContainerIDs": "Container ids",
    "ContainerFiles": "Container files",
    "ContainerIsolation": "Container isolation",
}


def run(parsed: Parsed, engine: Engine) -> int:
    """Print where images are, and what this system can do."""
    from lamina_unionfs import __version__

    from lamina_runtime.engine import container_listing, footing, mounts

    system = os.uname()
    states = [one.state for one in container_listing.chosen(engine, (), every=True)]
    running, paused = states.count("running"), states.count("paused")
    found: dict[str, object] = {
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
        "Images": len(engine.store.images.list()),
        "Mounts": len(mounts.active(engine)),
        "ServerVersion": __version__,
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "KernelVersion": system.release,
        "OSType": system.sysname.lower(),
        "Architecture": system.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "Root": str(engine.root),
        "RunDirectory": str(engine.directories.run),
        "User": os.getuid(),
        "Fuse": os.access("/dev/fuse", os.R_OK | os.W_OK),
        "KernelErofs": _has_erofs(),
        **footing.described(footing.hoped(engine)),
    }
    form = parsed.text("format")
    if form == "json":
        import json

        output.line(json.dumps(found, ensure_ascii=False, separators=(",", ":")))
    elif form:
        from lamina_runtime.cli.template import Fields, render

        output.line(render(form, Fields(found)))
    else:
        for name, value in found.items():
            shown = ("yes" if value else "no") if isinstance(value, bool) else value
            output.line(f"{TITLES.get(name, name)}: {shown}")
    return 0


def _has_erofs() -> bool:
    with open("/proc/filesystems", encoding="ascii") as file:
        return any(line.split()[-1:] == ["erofs"] for line in file)
