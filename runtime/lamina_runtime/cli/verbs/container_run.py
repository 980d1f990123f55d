"""`lamina run`, `lamina container run`."""

from __future__ import annotations

from lamina_runtime.cli import exit_codes, output
from lamina_runtime.cli.container_flags import FLAGS, RUN_ONLY
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.container.state import Container
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("run", "container run"),
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    flags=(*FLAGS, *RUN_ONLY),
    arguments=(1, 1 << 30),
    interspersed=False,
    failure=exit_codes.CONTAINER,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Make a container and start it; watch it unless it is to run in the background."""
    from lamina_runtime.cli import creating
    from lamina_runtime.container import attaching
    from lamina_runtime.engine import containers

    detached = parsed.switch("detach")
    if detached and parsed.several("attach"):
        from lamina_runtime.errors import UsageError

        raise UsageError("conflicting options: cannot specify both --attach and --detach")
    if not detached:
        from lamina_runtime.cli import watching

        _streams(parsed)
        watching.check_terminal(stdin=parsed.switch("interactive"), terminal=parsed.switch("tty"))
    keys = attaching.detach_keys(parsed.text("detach_keys"))
    container = creating.create(parsed, engine)
    if not detached:
        return _watched(parsed, engine, container, keys)
    try:
        containers.start(engine, container)
    except BaseException:
        _forget(engine, container)
        raise
    output.line(container.id)
    return 0


def _watched(parsed: Parsed, engine: Engine, container: Container, keys: bytes) -> int:
    from lamina_runtime.cli import watching
    from lamina_runtime.container import attaching
    from lamina_runtime.engine import containers, stopping

    streams = _streams(parsed)
    wished = watching.Watch(
        stdin=parsed.switch("interactive") and "stdin" in streams,
        shown=tuple(fd for fd, name in ((1, "stdout"), (2, "stderr")) if name in streams),
        terminal=parsed.switch("tty"),
        keys=keys,
        proxy=parsed.switch("sig_proxy"),
    )
    rows, columns = attaching.window() if wished.terminal else (0, 0)
    with watching.pair() as (ours, theirs):
        try:
            containers.start(engine, container, rows=rows, columns=columns, client=theirs)
        except BaseException:
            _forget(engine, container)
            raise
        theirs.close()
        status = watching.watch(ours, wished, watching.killer(container))
        if status is not None:
            stopping.after_watched(engine, container)
    return 0 if status is None else status


def _streams(parsed: Parsed) -> list[str]:
    """Return the streams that --attach names; all of them where it names none."""
    known = ["stdin", "stdout", "stderr"]
    named = [word.lower() for word in parsed.several("attach")]
    if not set(named) <= set(known):
        from lamina_runtime.errors import UsageError

        raise UsageError("valid streams for --attach are STDIN, STDOUT and STDERR")
    return named or known


def _forget(engine: Engine, container: Container) -> None:
    """Remove what was to be removed at its end and never began."""
    from lamina_runtime import contexts
    from lamina_runtime.engine import containers
    from lamina_runtime.errors import LaminaError

    if container.record.wishes.auto_remove:
        with contexts.suppress(LaminaError, OSError):
            containers.remove(engine, container, volumes=True)
