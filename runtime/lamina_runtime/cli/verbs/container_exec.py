"""`lamina exec`, `lamina container exec`."""

from __future__ import annotations

from lamina_runtime.cli import exit_codes
from lamina_runtime.cli.flags import LIST, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("exec", "container exec"),
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    flags=(
        Flag("detach", "Detached mode: run command in the background", short="d"),
        Flag("detach-keys", "Override the key sequence for detaching a container", kind=STRING),
        Flag("env", "Set environment variables", short="e", kind=LIST),
        Flag("env-file", "Read in a file of environment variables", kind=LIST),
        Flag("interactive", "Keep STDIN open even if not attached", short="i"),
        Flag("privileged", "Give extended privileges to the command"),
        Flag("tty", "Allocate a pseudo-TTY", short="t"),
        Flag("user", "Username or UID (format: <name|uid>[:<group|gid>])", short="u", kind=STRING),
        Flag("workdir", "Working directory inside the container", short="w", kind=STRING),
    ),
    arguments=(2, 1 << 30),
    interspersed=False,
    failure=exit_codes.CONTAINER,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Run a program in a container."""
    from lamina_runtime.cli import watching, wishing
    from lamina_runtime.container import attaching
    from lamina_runtime.engine import executing

    detached = parsed.switch("detach")
    wished = executing.Exec(
        command=tuple(parsed.arguments[1:]),
        env=tuple(wishing.environment(parsed)),
        user=parsed.text("user"),
        working_dir=parsed.text("workdir"),
        terminal=parsed.switch("tty"),
        interactive=parsed.switch("interactive") and not detached,
        privileged=parsed.switch("privileged"),
    )
    container = engine.containers.find(parsed.arguments[0])
    if detached:
        executing.start(container, wished, client=None)
        return exit_codes.OK
    watching.check_terminal(stdin=wished.interactive, terminal=wished.terminal)
    size = attaching.window() if wished.terminal else (0, 0)
    keys = attaching.detach_keys(parsed.text("detach_keys"))
    with watching.pair() as (ours, theirs):
        executing.start(container, wished, size=size, client=theirs)
        theirs.close()
        watch = watching.Watch(wished.interactive, wished.terminal, keys, proxy=False)
        status = watching.watch(ours, watch, None)
    return exit_codes.OK if status is None else status
