"""Command lines as docker reads them: declared once, parsed by hand.

Theory.  A verb is a `Command`: its words, its flags, how many arguments it takes.  The rules
are those of Go's pflag, because they are in people's fingers and scripts: flags may stand
between arguments, short ones may be joined (`-aq`), values follow as `--name=value`,
`--name value`, `-nvalue` or `-n=value`, switches may be given as `--quiet=false`, and `--`
ends the flags.  argparse differs in most of these points and costs as much to import as
a listing command may take.
"""

from __future__ import annotations

from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SWITCH, STRING, LIST, NUMBER = "switch", "string", "list", "int"
TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
MANY = 1 << 30


class Flag:
    """One flag: `name` without dashes, `short` one letter or empty, `word` names the value in help."""

    __slots__ = ("default", "kind", "name", "short", "text", "word")

    def __init__(
        self,
        name: str,
        text: str,
        *,
        short: str = "",
        kind: str = SWITCH,
        word: str = "",
        default: object = None,
    ) -> None:
        self.name, self.text, self.short, self.kind = name, text, short, kind
        self.word = word or {SWITCH: "", STRING: "string", LIST: "list", NUMBER: "int"}[kind]
        self.default: object = (
            {SWITCH: False, STRING: "", LIST: (), NUMBER: 0}[kind] if default is None else default
        )

    @property
    def key(self) -> str:
        """The name by which a parsed command line keeps the value."""
        return self.name.replace("-", "_")

    @property
    def title(self) -> str:
        """The flag as messages name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Command:
    """One verb as the user sees it; `names` are its spellings, the first the one in messages."""

    __slots__ = (
        "details",
        "failure",
        "flags",
        "interspersed",
        "maximum",
        "minimum",
        "names",
        "opaque",
        "own",
        "summary",
        "usage",
    )

    def __init__(
        self,
        names: Sequence[str],
        usage: str,
        summary: str,
        *,
        flags: Sequence[Flag] = (),
        arguments: tuple[int, int] = (0, 0),
        details: str = "",
        interspersed: bool = True,
        opaque: bool = False,
        failure: int = 0,
        own: bool = False,
    ) -> None:
        self.names, self.usage, self.summary, self.details = tuple(names), usage, summary, details
        self.flags = (*flags, Flag("help", "Print this help", short="h"))
        self.minimum, self.maximum = arguments
        self.interspersed = interspersed
        self.opaque = opaque  # somebody else reads the words
        self.failure = failure  # the status of all our own failures, where others are the container's
        self.own = own  # a verb that docker does not have: its statuses say what kind of failure it is


class FlagError(UsageError):
    """There is no such flag, or it cannot have this value."""


class CountError(UsageError):
    """Too few or too many arguments."""


class Parsed:
    """A command line taken apart: a value for each flag, and the arguments."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.arguments: list[str] = []
        self.given: set[str] = set()
        self._values: dict[str, object] = {flag.key: flag.default for flag in command.flags}

    def switch(self, key: str) -> bool:
        """Return a switch's value."""
        return bool(self._values[key])

    def text(self, key: str) -> str:
        """Return a string's value, "" if it was not given and has no default."""
        return str(self._values[key])

    def number(self, key: str) -> int:
        """Return an int's value."""
        value = self._values[key]
        assert isinstance(value, int)
        return value

    def several(self, key: str) -> list[str]:
        """Return a list's values in the order given."""
        value = self._values[key]
        assert isinstance(value, tuple)
        return list(value)

    def store(self, flag: Flag, value: str) -> None:
        """Take the value of one occurrence; raise FlagError if it is not of the flag's kind."""
        self.given.add(flag.key)
        if flag.kind == LIST:
            if flag.name == "filter" and "=" not in value:
                raise FlagError(
                    f'invalid argument "{value}" for "{flag.title}" flag: '
                    "bad format of filter (expected name=value)"
                )
            before = self._values.get(flag.key, ())
            assert isinstance(before, tuple)
            self._values[flag.key] = (*before, value)
        elif flag.kind == STRING:
            self._values[flag.key] = value
        elif flag.kind == NUMBER:
            digits = value.removeprefix("-")
            if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
                raise FlagError(f'invalid argument "{value}" for "{flag.title}" flag: not a number')
            self._values[flag.key] = int(value)
        elif value in TRUE or value in FALSE:
            self._values[flag.key] = value in TRUE
        else:
            raise FlagError(f'invalid argument "{value}" for "{flag.title}" flag: true or false expected')


def parse(command: Command, words: Sequence[str]) -> Parsed:
    """Take a command line apart; raise FlagError for what it cannot mean.

    With --help among the flags everything else is forgiven: what is wanted is help.
    """
    parsed = Parsed(command)
    if command.opaque:
        parsed.arguments += words
        return parsed
    rest = list(words)
    position = 0
    while position < len(rest):
        word = rest[position]
        position += 1
        if word == "--":
            parsed.arguments += rest[position:]
            break
        if word == "-" or not word.startswith("-"):
            parsed.arguments.append(word)
            if not command.interspersed:
                parsed.arguments += rest[position:]
                break
        elif word.startswith("--"):
            position += _long(parsed, word, rest[position : position + 1])
        else:
            position += _short(parsed, word, rest[position : position + 1])
        if parsed.switch("help"):
            return parsed
    return parsed


def _long(parsed: Parsed, word: str, following: list[str]) -> int:
    """Take `--name`, `--name=value` or `--name value`; return how many further words that took."""
    name, equals, value = word[2:].partition("=")
    flag = next((flag for flag in parsed.command.flags if flag.name == name), None)
    if flag is None:
        raise FlagError(f"unknown flag: --{name}")
    if equals:
        parsed.store(flag, value)
        return 0
    if flag.kind == SWITCH:
        parsed.store(flag, "true")
        return 0
    if not following:
        raise FlagError(f"flag needs an argument: --{name}")
    parsed.store(flag, following[0])
    return 1


def _short(parsed: Parsed, word: str, following: list[str]) -> int:
    """Take joined short flags; the first that has a value takes the rest of the word or the next."""
    for index, letter in enumerate(word[1:], 1):
        flag = next((flag for flag in parsed.command.flags if flag.short == letter), None)
        if flag is None:
            raise FlagError(f"unknown shorthand flag: '{letter}' in {word}")
        rest = word[index + 1 :]
        if flag.kind == SWITCH and not rest.startswith("="):
            parsed.store(flag, "true")
            continue
        if rest:
            parsed.store(flag, rest.removeprefix("="))
            return 0
        if not following:
            raise FlagError(f"flag needs an argument: '{letter}' in {word}")
        parsed.store(flag, following[0])
        return 1
    return 0


def count(name: str, command: Command, parsed: Parsed) -> None:
    """Refuse too few or too many arguments in docker's words."""
    least, most, given = command.minimum, command.maximum, len(parsed.arguments)
    if least <= given <= most:
        return
    if most == 0:
        wanted = "accepts no arguments"
    elif least == most:
        wanted = f"requires {least} argument{'s' if least > 1 else ''}"
    elif given < least:
        wanted = f"requires at least {least} argument{'s' if least > 1 else ''}"
    else:
        wanted = f"requires at most {most} argument{'s' if most > 1 else ''}"
    raise CountError(f"'lamina {name}' {wanted}")
