"""`lamina cp`."""

from __future__ import annotations

import sys

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("cp", "container cp"),
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       lamina cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem",
    flags=(
        Flag("archive", "Archive mode (copy all uid/gid information)", short="a"),
        Flag("follow-link", "Always follow symbol link in SRC_PATH", short="L"),
        Flag("quiet", "Nothing is shown in any case", short="q"),
    ),
    arguments=(2, 2),
    details="- is a tar archive on standard input or output.  SRC_PATH/. means what is in the directory.",
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Copy."""
    from lamina_runtime.engine import copying

    wish = copying.Wish(parsed.switch("archive"), parsed.switch("follow_link"))
    source, target = parsed.arguments
    copying.copy(engine, source, target, wish, out=output.binary(), given=sys.stdin.buffer)
    return 0
