"""`lamina attach`, `lamina container attach`."""

from __future__ import annotations

from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("attach", "container attach"),
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    flags=(
        Flag("detach-keys", "Override the key sequence for detaching a container", kind=STRING),
        Flag("no-stdin", "Do not attach STDIN"),
        Flag("sig-proxy", "Proxy all received signals to the process", default=True),
    ),
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Watch a running container and talk to it."""
    from lamina_runtime.cli import watching
    from lamina_runtime.container import attaching, processes

    keys = attaching.detach_keys(parsed.text("detach_keys"))
    container = engine.containers.find(parsed.arguments[0])
    status = container.status()
    if not status.pid:
        raise processes.NotRunningError(container)
    wishes = container.record.wishes
    stdin = wishes.interactive and not parsed.switch("no_stdin")
    watching.check_terminal(stdin=stdin, terminal=wishes.terminal)
    watch = watching.Watch(stdin, wishes.terminal, keys, parsed.switch("sig_proxy"))
    return watching.attached(container, watch)
