"""`lamina stats`, `lamina container stats`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output, table
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine import watching_processes
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("stats", "container stats"),
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    flags=(
        Flag("all", "Show all containers (default shows just running)", short="a"),
        common.FORMAT,
        Flag("no-stream", "Disable streaming stats and only pull the first result"),
        common.NO_TRUNC,
    ),
    arguments=(0, 1 << 30),
)
HEADINGS = {
    "Container": "CONTAINER ID",
    "Name": "NAME",
    "ID": "CONTAINER ID",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
PLAIN = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
CLEAR = "\x1b[H\x1b[J"


def run(parsed: Parsed, engine: Engine) -> int:
    """Print what containers use, once or again and again."""
    import sys

    from lamina_runtime.engine import watching_processes

    stream = not parsed.switch("no_stream")
    names = parsed.arguments
    for found in watching_processes.stats(engine, names, every=parsed.switch("all")):
        if stream and output.on_terminal(sys.stdout):
            output.binary().write(CLEAR.encode())
        rows = [_fields(one, full=parsed.switch("no_trunc")) for one in found]
        table.show(rows, table.Columns(HEADINGS, PLAIN), parsed.text("format"))
        output.flush()
        if not stream:
            break
    return 0


def _fields(one: watching_processes.Stats, *, full: bool) -> dict[str, object]:
    identity = one.id if full else one.id[:12]
    return {
        "Container": identity,
        "ID": identity,
        "Name": one.name,
        "CPUPerc": f"{one.cpu:.2f}%",
        "MemUsage": f"{human.binary_size(one.memory)} / {human.binary_size(one.limit)}",
        "MemPerc": f"{100 * one.memory / one.limit if one.limit else 0:.2f}%",
        "NetIO": f"{human.size(one.received)} / {human.size(one.sent)}",
        "BlockIO": f"{human.size(one.read)} / {human.size(one.written)}",
        "PIDs": one.processes,
    }
