"""The binary form of a plan: native/launch/plan.h is its specification."""

from __future__ import annotations

import sys

from lamina_runtime.errors import LaminaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Argument = str | bytes | int

MAGIC = b"LAMPLAN1"
ARGUMENTS = 8


class Op:
    """What a record says; the numbers are enum lam_op's.  Python's enum would be slow to import."""

    DIRECTORY = 1
    LOG = 2
    TERMINAL = 3
    STDIN = 4
    UIDMAP = 5
    GIDMAP = 6
    MAPPER = 7
    DRIVER = 8
    NETWORK = 9
    CGROUP = 10
    CLIENT = 11
    AFTER = 12
    HEALTH = 13
    PROBE = 14
    KEEPER = 15
    LISTENER = 16
    FORWARD = 17
    UNION = 18
    NAMESPACES = 20
    JOIN = 21
    ROOT = 22
    RUNTIME = 23
    BUNDLE = 24
    WHOLE = 25
    MOUNT = 40
    BIND = 41
    NODE = 42
    SYMLINK = 43
    MASK = 44
    READONLY = 45
    SYSCTL = 46
    COPY = 47
    HOSTNAME = 60
    DOMAINNAME = 61
    RLIMIT = 63
    OOM_SCORE = 64
    CWD = 65
    IDS = 66
    GROUP = 67
    CAPABILITIES = 68
    NO_NEW_PRIVS = 69
    SECCOMP = 70
    REAP = 71
    ENV = 72
    ARG = 73
    STDIO = 74
    USER = 75
    ALONE = 76
    RECORD = 78
    INTERFACE = 77


class RecordError(LaminaError, ValueError):
    """An argument that the kernel has no way to take, as an image's configuration may hold."""

    exit_code = 125


class Record:
    """One record: an op and its arguments, as the launcher will read them."""

    __slots__ = ("arguments", "op")

    def __init__(self, op: int, *arguments: Argument) -> None:
        """Take text, bytes or numbers; only bytes of a filter may hold a NUL."""
        if len(arguments) > ARGUMENTS:
            raise ValueError(f"{_name(op)}: {len(arguments)} arguments")
        self.op = op
        self.arguments = tuple(_bytes(op, argument) for argument in arguments)

    def __repr__(self) -> str:
        return f"{_name(self.op)}{self.arguments}"

    def __hash__(self) -> int:
        return hash((self.op, self.arguments))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and (self.op, self.arguments) == (other.op, other.arguments)

    def encode(self) -> bytes:
        """Return the record's bytes."""
        parts = [_number(self.op, 2), _number(len(self.arguments), 2)]
        for argument in self.arguments:
            parts += [_number(len(argument), 4), argument, b"\0"]
        return b"".join(parts)


NAMES: Mapping[int, str] = {op: name for name, op in vars(Op).items() if name.isupper()}


def _name(op: int) -> str:
    return NAMES.get(op, str(op))


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, sys.byteorder)


def _bytes(op: int, argument: Argument) -> bytes:
    raw = argument if isinstance(argument, bytes) else str(argument).encode("utf-8", "surrogateescape")
    if b"\0" in raw and op != Op.SECCOMP:
        raise RecordError(f"{_name(op).lower()}: a NUL byte in {argument!r}")
    return raw


def encode(records: Iterable[Record]) -> bytes:
    """Return a plan's bytes."""
    return MAGIC + b"".join(record.encode() for record in records)
