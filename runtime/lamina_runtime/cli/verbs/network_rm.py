"""`lamina network rm`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("network rm", "network remove"),
    "[OPTIONS] NETWORK [NETWORK...]",
    "Remove one or more networks",
    flags=(Flag("force", "Do not error if the network does not exist", short="f"),),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove networks that nobody is on."""
    from lamina_runtime.engine import keepers, networks
    from lamina_runtime.errors import NotFoundError, UsageError

    def remove(word: str) -> None:
        if word in networks.BUILT_IN:
            raise UsageError(f"{word} is a pre-defined network and cannot be removed")
        try:
            keepers.remove(engine, word)
        except NotFoundError:
            if not parsed.switch("force"):
                raise
            return
        output.line(word)

    return common.each(parsed.arguments, remove)
