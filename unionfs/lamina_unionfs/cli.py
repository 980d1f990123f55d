"""The command line: a drop-in for fuse-overlayfs and for a helper of mount(8).

Read by hand because argparse alone would cost half of the time to a usable mount.
"""

from __future__ import annotations

from lamina_unionfs import __version__, report
from lamina_unionfs.errors import DriverError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USAGE = """\
usage: lamina-unionfs [-f] [-d] [-o OPTION[,OPTION...]]... [SOURCE] MOUNTPOINT
       lamina-unionfs check UPPER
       lamina-unionfs flatten -o OPTION[,OPTION...]
       lamina-unionfs --version | --help

Mount the union of lowerdir= (topmost first, separated by ':') under upperdir= at MOUNTPOINT.
The command returns when the mount is usable; the server ends when it is unmounted.

  -o OPTIONS       lowerdir=A:B,upperdir=U,workdir=W and others: docs/cli.md
  -f, --foreground stay in the foreground
  -d, --debug      stay in the foreground and print every request
  --ready-fd=N     with -f: write one byte to descriptor N when the mount is usable
  --log=FILE       write messages to FILE, which is emptied first
  --arguments-fd=N read the arguments from descriptor N, a NUL behind each; end where none come
  -V, --version    print the version
  -h, --help       print this

check says what an upper uses that other drivers may not understand;
flatten copies up what it takes to make an upper plain, while it is not mounted.
"""


LONGEST = 1 << 24  # bytes of all arguments; the kernel takes 2 MiB


class Arguments:
    """A command line, taken apart."""

    __slots__ = ("debug", "foreground", "log", "options", "places", "ready_fd")

    def __init__(self) -> None:
        self.options: list[str] = []
        self.places: list[str] = []
        self.foreground = self.debug = False
        self.ready_fd = -1
        self.log = ""


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    try:
        if argv and argv[0].startswith("--arguments-fd="):
            argv = _told(_descriptor(argv[0]))
            if not argv:
                return 0
        if argv and argv[0] == "check":
            from lamina_unionfs import check

            return check.main(argv[1:])
        if argv and argv[0] == "flatten":
            from lamina_unionfs import complete_path

            complete_path.complete()
            from lamina_unionfs import flatten

            return flatten.main(argv[1:])
        if any(word in ("-V", "--version") for word in argv):
            return _print(f"lamina-unionfs {__version__}\n")
        if any(word in ("-h", "--help") for word in argv):
            return _print(USAGE)
        return _mount(read_arguments(argv))
    except DriverError as error:
        report.fail(str(error))
        return error.exit_code


def read_arguments(argv: Sequence[str]) -> Arguments:
    """Take a command line apart; raise UsageError for what it cannot mean."""
    arguments = Arguments()
    words = iter(argv)
    for word in words:
        if word == "--":
            arguments.places += words
        elif word in ("-f", "--foreground"):
            arguments.foreground = True
        elif word in ("-d", "--debug"):
            arguments.foreground = arguments.debug = True
        elif word == "-s":
            pass  # libfuse's "one thread": how many threads serve is ours to choose
        elif word.startswith("--ready-fd="):
            arguments.ready_fd = _descriptor(word)
        elif word.startswith("--log="):
            arguments.log = word.partition("=")[2]
        elif word == "-o":
            arguments.options.append(_argument_of(word, words))
        elif word.startswith("-o"):
            arguments.options.append(word[2:])
        elif word.startswith("-") and word != "-":
            raise UsageError(f"unknown argument '{word}' (see --help)")
        else:
            arguments.places.append(word)
    if not 1 <= len(arguments.places) <= 2:
        raise UsageError("one mount point expected (see --help)")
    return arguments


def _argument_of(word: str, words: object) -> str:
    value = next(words, None)  # type: ignore[call-overload]  # an iterator; naming its type needs typing
    if not isinstance(value, str):
        raise UsageError(f"{word} needs an argument (see --help)")
    return value


def _descriptor(word: str) -> int:
    name, _, text = word.partition("=")
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise UsageError(f"{name} needs a number, not '{text}'")
    return int(text)


def _told(fd: int) -> list[str]:
    """Read arguments from a descriptor; whoever started us finds out meanwhile what they are."""
    import posix

    from lamina_unionfs import daemon, options, paths, session  # noqa: F401 - so that they are there

    text = b""
    try:
        while piece := posix.read(fd, LONGEST):
            text += piece
            if len(text) > LONGEST:
                raise UsageError(f"--arguments-fd: more than {LONGEST} bytes")
    except OSError as error:
        raise UsageError(f"--arguments-fd: {error.strerror}") from None
    posix.close(fd)
    words = text.split(b"\0")
    if words.pop():
        raise UsageError("--arguments-fd: no NUL behind the last argument")
    return [paths.decode(word) for word in words]


def _log_to(path: str) -> None:
    import posix

    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW | posix.O_CLOEXEC
    try:
        fd = posix.open(path, flags, 0o600)
    except OSError as error:
        raise DriverError(f"--log: {path}: {error.strerror}") from None
    posix.dup2(fd, 1)
    posix.dup2(fd, 2)
    posix.close(fd)


def _mount(arguments: Arguments) -> int:
    from lamina_unionfs import daemon, options, session

    if arguments.log:
        _log_to(arguments.log)
    strings = [f"fsname={_quoted(arguments.places[0])}"] if len(arguments.places) == 2 else []
    wanted = options.parse([*strings, *arguments.options])
    place = arguments.places[-1]

    def serve(ready: Callable[[], None]) -> int:
        return session.serve(
            wanted, place, ready=ready, detached=not arguments.foreground, debug=arguments.debug
        )

    if arguments.foreground:
        return serve(lambda: _tell(arguments.ready_fd))
    return daemon.run_detached(serve)


def _quoted(source: str) -> str:
    return source.replace("\\", "\\\\").replace(",", "\\,")


def _tell(fd: int) -> None:
    import posix

    if fd >= 0:
        try:
            posix.write(fd, b"\0")
        except OSError as error:
            raise DriverError(f"--ready-fd: nobody waits for the mount: {error.strerror}") from None
        posix.close(fd)


def _print(text: str) -> int:
    import sys

    sys.stdout.write(text)
    return 0
