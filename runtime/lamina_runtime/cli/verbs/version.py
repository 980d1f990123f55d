"""`lamina version`."""

from __future__ import annotations

import os
import sys

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(("version",), "[OPTIONS]", "Show version information", flags=(common.FORMAT_ONE,))


def run(parsed: Parsed, engine: Engine) -> int:  # noqa: ARG001 - every verb's signature
    """Print the versions of what answers."""
    from lamina_unionfs import __version__

    system = os.uname()
    client: dict[str, object] = {
        "Version": __version__,
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": system.sysname.lower(),
        "Arch": system.machine,
        "KernelVersion": system.release,
    }
    form = parsed.text("format")
    if form == "json":
        import json

        output.line(json.dumps({"Client": client}, separators=(",", ":")))
    elif form:
        from lamina_runtime.cli.template import Fields, render

        output.line(render(form, Fields(Client=Fields(client))))
    else:
        output.line("Client: lamina")
        output.line(f" Version:        {client['Version']}")
        output.line(f" Python version: {client['PythonVersion']}")
        output.line(f" OS/Arch:        {client['Os']}/{client['Arch']}")
        output.line(f" Kernel version: {client['KernelVersion']}")
    return 0
