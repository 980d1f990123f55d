"""`lamina logs`, `lamina container logs`."""

from __future__ import annotations

import os

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("logs", "container logs"),
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    flags=(
        Flag("details", "Show extra details provided to logs (there are none)"),
        Flag("follow", "Follow log output", short="f"),
        Flag("since", "Show logs since timestamp (2013-01-02T13:23:37Z) or relative (42m)", kind=STRING),
        Flag(
            "tail", "Number of lines to show from the end of the logs", short="n", kind=STRING, default="all"
        ),
        Flag("timestamps", "Show timestamps", short="t"),
        Flag("until", "Show logs before a timestamp or relative (42m)", kind=STRING),
    ),
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Print what a container wrote, each stream to ours of its kind."""
    from lamina_runtime.container import logs

    container = engine.containers.find(parsed.arguments[0])
    window = logs.Window(_tail(parsed), _moment(parsed, "since"), _moment(parsed, "until"))
    stamps = parsed.switch("timestamps")

    def running() -> bool:
        return container.status().kind in ("running", "starting", "restarting")

    output.flush()
    follow = parsed.switch("follow")
    for line in logs.read(container.data / "log", window, more=running if follow else None):
        text = f"{line.time} {line.text}" if stamps else line.text
        _write(2 if line.stream == "stderr" else 1, text.encode("utf-8", "surrogatepass"))
    return 0


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _tail(parsed: Parsed) -> int | None:
    text = parsed.text("tail")
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    return None  # "all", and whatever else is no number, as docker does


def _moment(parsed: Parsed, key: str) -> float | None:
    from lamina_runtime.engine import moments
    from lamina_runtime.errors import UsageError

    text = parsed.text(key)
    if not text:
        return None
    moment = moments.from_filter(text)
    if moment is None:
        raise UsageError(f'invalid value for "{key}": failed to parse {text!r} as a time or duration')
    return moment
