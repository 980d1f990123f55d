"""The command's frame: global flags, dispatch to a verb, and every way a command can end.

Theory.  A verb returns a status or raises; here, once, exceptions become one message and one
status.  Nothing is imported that the verb at hand does not need: `catalogue` knows the verbs
by name only.
"""

from __future__ import annotations

import sys

from lamina_runtime.cli import catalogue, exit_codes, flags, output
from lamina_runtime.errors import LaminaError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = ("debug", "info", "warn", "error", "fatal")
GLOBAL = flags.Command(
    ("",),
    "[OPTIONS] COMMAND",
    "Images and mounts without root",
    flags=(
        flags.Flag(
            "root",
            "Directory of images and uppers (default $LAMINA_ROOT, else the user's own)",
            kind=flags.STRING,
            word="path",
        ),
        flags.Flag("debug", "Log everything and show tracebacks", short="D"),
        flags.Flag(
            "log-level",
            'Set the logging level ("debug", "info", "warn", "error", "fatal")',
            short="l",
            kind=flags.STRING,
            default="warn",
        ),
        flags.Flag("version", "Print version information and quit", short="v"),
    ),
    arguments=(0, flags.MANY),
    interspersed=False,
)


def entered(argv: Sequence[str]) -> int:
    """Run the command as a process; return the status to end with."""
    output.prepare()
    try:
        status = main(argv)
        return _flushed(status)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        return exit_codes.BROKEN_PIPE


def _flushed(status: int) -> int:
    """Write out what is left of the answer; return the status to end with."""
    try:
        output.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        output.give_up()
        if status != exit_codes.OK:
            return status  # for which there was a message
        _complain(LaminaError(f"standard output: {error.strerror}"))
        return exit_codes.FAILURE
    return status


def main(argv: Sequence[str]) -> int:
    """Run one command line; return its status.  KeyboardInterrupt and BrokenPipeError pass."""
    debug = False
    name, verb = "", None
    try:
        parsed = flags.parse(GLOBAL, argv)
        debug = parsed.switch("debug")
        _set_log_level(
            "debug" if debug else parsed.text("log_level"), given="log_level" in parsed.given or debug
        )
        if parsed.switch("version"):
            return _version()
        words = [] if parsed.switch("help") else parsed.arguments
        verb, rest = catalogue.find(words)
        if verb is None:
            return _help_of_group(words)
        name = f"{verb.name} "
        return _run(verb, rest, parsed.text("root"))
    except UsageError as error:
        if debug:
            _show_trace(error)
        _complain(error, see=f" (see 'lamina {name}--help')")
        if verb is not None:
            return error.exit_code
        return exit_codes.FLAG if isinstance(error, flags.FlagError) else exit_codes.FAILURE
    except (KeyboardInterrupt, BrokenPipeError, SystemExit):
        raise
    except Exception as error:  # noqa: BLE001 - the one place where failures become messages
        if debug:
            _show_trace(error)
        return _fail(error)


def _show_trace(error: BaseException) -> None:
    import traceback

    output.note("".join(traceback.format_exception(error)).rstrip())


def _run(verb: catalogue.Verb, words: Sequence[str], root: str) -> int:
    module = catalogue.load(verb)
    try:
        return _carry_out(module, verb, words, root)
    except BrokenPipeError:
        raise
    except (LaminaError, OSError) as error:
        told = error if isinstance(error, LaminaError) else _told(error)
        told.exit_code = _status(module.COMMAND, told)
        raise told from error.__cause__


def _status(command: flags.Command, error: LaminaError) -> int:
    """Return the status that a failure gives a command."""
    if command.own and not command.failure:
        return error.exit_code
    if isinstance(error, flags.CountError):
        return exit_codes.FAILURE
    if command.failure and error.exit_code in (exit_codes.NOT_RUN, exit_codes.NOT_INSIDE):
        return error.exit_code
    return command.failure or (exit_codes.FLAG if isinstance(error, flags.FlagError) else exit_codes.FAILURE)


def _carry_out(module: catalogue.Module, verb: catalogue.Verb, words: Sequence[str], root: str) -> int:
    parsed = flags.parse(module.COMMAND, words)
    if parsed.switch("help"):
        from lamina_runtime.cli import help_text

        output.write(help_text.of_command(verb.name, module.COMMAND))
        return exit_codes.OK
    flags.count(verb.name, module.COMMAND, parsed)
    from lamina_runtime.engine.context import Engine

    with Engine(root) as engine:
        return module.run(parsed, engine)


def _help_of_group(words: Sequence[str]) -> int:
    from lamina_runtime.cli import help_text

    output.write(
        help_text.of_group(words[0], catalogue.group(words[0])) if words else help_text.overview(GLOBAL)
    )
    return exit_codes.OK


def _version() -> int:
    from lamina_unionfs import __version__

    output.line(f"lamina version {__version__}")
    return exit_codes.OK


def _set_log_level(level: str, *, given: bool) -> None:
    if level not in LEVELS:
        raise UsageError(f"--log-level: one of {', '.join(LEVELS)} expected, not '{level}'")
    if given:
        import logging

        names = {"warn": logging.WARNING, "fatal": logging.CRITICAL}
        logging.basicConfig(
            stream=sys.stderr,
            level=names.get(level) or getattr(logging, level.upper()),
            format="%(levelname)s %(name)s: %(message)s",
        )


def _fail(error: BaseException) -> int:
    """Say what went wrong; return the status."""
    while isinstance(error, BaseExceptionGroup):
        error = _gravest(error)
    if isinstance(error, KeyboardInterrupt):
        return exit_codes.INTERRUPTED
    if isinstance(error, LaminaError):
        _complain(error)
        return error.exit_code
    if isinstance(error, OSError):
        _complain(_told(error))
        return exit_codes.FAILURE
    kind = type(error).__name__
    text = " ".join(str(error).split())[:300]
    _complain(LaminaError(f"unexpected {kind}: {text}", hint="this is a bug of lamina; --debug shows where"))
    return exit_codes.FAILURE


def _told(error: OSError) -> LaminaError:
    where = f"{error.filename}: " if error.filename is not None else ""
    return LaminaError(f"{where}{error.strerror or error}")


def _gravest(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of failures of tasks that ran together, return the one that explains the others best."""
    order = (KeyboardInterrupt, BaseExceptionGroup, LaminaError, OSError, BaseException)
    return min(
        group.exceptions, key=lambda error: next(i for i, kind in enumerate(order) if isinstance(error, kind))
    )


def _complain(error: LaminaError, *, see: str = "") -> None:
    first, _, rest = error.render().partition("\n")
    output.note(output.plain(first) + see + (f"\n{rest}" if rest else ""))
