"""`lamina start`, `lamina container start`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("start", "container start"),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    flags=(
        Flag("all", "Start all containers that do not run, as far as the filters choose them"),
        Flag("attach", "Attach STDOUT/STDERR and forward signals", short="a"),
        Flag("detach-keys", "Override the key sequence for detaching a container", kind=STRING),
        common.FILTER,
        Flag("interactive", "Attach container's STDIN", short="i"),
    ),
    arguments=(0, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Start containers, or one and watch it."""
    from lamina_runtime.container import attaching
    from lamina_runtime.engine import containers
    from lamina_runtime.errors import UsageError

    known = containers.containers(engine)
    if parsed.switch("all") or parsed.several("filter"):
        return _all(parsed, engine)
    if not parsed.arguments:
        raise UsageError("'lamina start' requires at least 1 argument")
    if not (parsed.switch("attach") or parsed.switch("interactive")):

        def start(word: str) -> None:
            container = known.find(word)
            if container.status().kind not in ("running", "starting"):
                containers.start(engine, container)
            output.line(word)

        return common.each(parsed.arguments, start)
    if len(parsed.arguments) > 1:
        raise UsageError("you cannot start and attach multiple containers at once")
    from lamina_runtime.cli import watching
    from lamina_runtime.engine import stopping

    container = known.find(parsed.arguments[0])
    wishes = container.record.wishes
    wished = watching.Watch(
        stdin=parsed.switch("interactive") and wishes.interactive,
        terminal=wishes.terminal,
        keys=attaching.detach_keys(parsed.text("detach_keys")),
    )
    if container.status().pid:
        watching.check_terminal(stdin=wished.stdin, terminal=wished.terminal)
        return watching.attached(container, wished)
    rows, columns = attaching.window() if wished.terminal else (0, 0)
    with watching.pair() as (ours, theirs):
        containers.start(engine, container, rows=rows, columns=columns, client=theirs)
        theirs.close()
        status = watching.watch(ours, wished, watching.killer(container))
        if status is not None:
            stopping.after_watched(engine, container)
    return 0 if status is None else status


def _all(parsed: Parsed, engine: Engine) -> int:
    """Start what the filters choose; what runs is left as it is."""
    from lamina_runtime.engine import container_listing, containers
    from lamina_runtime.errors import UsageError

    if parsed.arguments or parsed.switch("attach") or parsed.switch("interactive"):
        raise UsageError("--all and --filter choose containers: no names, no --attach, no --interactive")
    found = container_listing.chosen(engine, parsed.several("filter"), every=True)
    stopped = {one.container.id: one.container for one in found if one.state in ("created", "exited")}

    def start(word: str) -> None:
        containers.start(engine, stopped[word])
        output.line(word)

    return common.each(stopped, start)
