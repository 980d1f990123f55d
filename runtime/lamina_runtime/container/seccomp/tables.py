"""Numbers of system calls by architecture; calls.txt is generated from the kernel's headers."""

from __future__ import annotations

from lamina_runtime.fspath import Path
from lamina_runtime.quick import cache
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE = Path(__file__).parent / "calls.txt"
X32_BIT = 0x40000000


@value
class Architecture:
    """What a filter must know of one: how the kernel names it, and how it passes arguments."""

    name: str  # the column of calls.txt
    spec: str  # the runtime-spec's name
    audit: int  # AUDIT_ARCH_*, linux/audit.h
    wide: bool = True  # arguments have 64 bits
    big: bool = False  # the upper half of an argument comes first


ARCHITECTURES = (
    Architecture("x86_64", "SCMP_ARCH_X86_64", 0xC000003E),
    Architecture("i386", "SCMP_ARCH_X86", 0x40000003, wide=False),
    Architecture("x32", "SCMP_ARCH_X32", 0xC000003E),  # told from x86_64 by X32_BIT
    Architecture("aarch64", "SCMP_ARCH_AARCH64", 0xC00000B7),
    Architecture("arm", "SCMP_ARCH_ARM", 0x40000028, wide=False),
    Architecture("ppc64le", "SCMP_ARCH_PPC64LE", 0xC0000015),
    Architecture("s390x", "SCMP_ARCH_S390X", 0x80000016, big=True),
    Architecture("s390", "SCMP_ARCH_S390", 0x00000016, wide=False, big=True),
    Architecture("riscv64", "SCMP_ARCH_RISCV64", 0xC00000F3),
    Architecture("loongarch64", "SCMP_ARCH_LOONGARCH64", 0xC0000102),
    Architecture("mips64el", "SCMP_ARCH_MIPSEL64", 0xC0000008),
    Architecture("mipsn32el", "SCMP_ARCH_MIPSEL64N32", 0xE0000008),
    Architecture("mipsel", "SCMP_ARCH_MIPSEL", 0x40000008, wide=False),
)
BY_SPEC = {row.spec: row for row in ARCHITECTURES}
_BY_NAME = {row.name: row for row in ARCHITECTURES}
# a machine's own architecture, then those that its kernel may run beside it
_GROUPS = {
    "x86_64": "x86_64 i386 x32",
    "aarch64": "aarch64 arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x s390",
    "riscv64": "riscv64",
    "loongarch64": "loongarch64",
    "mips64": "mips64el mipsn32el mipsel",
    "mips64el": "mips64el mipsn32el mipsel",
    "i386": "i386",
    "i686": "i386",
    "armv7l": "arm",
    "armv8l": "arm",
}
MACHINES = tuple(_GROUPS)
_GO = {  # names that profiles use in "includes" and "excludes"
    "x86_64": "amd64", "i386": "x86", "x32": "x32", "aarch64": "arm64", "mips64el": "mips64le",
    "mipsn32el": "mips64p32le", "mipsel": "mipsle",
}  # fmt: skip


def group(machine: str) -> tuple[Architecture, ...]:
    """Return the architectures of a machine as uname(2) names it, its own first; () if unknown."""
    return tuple(_BY_NAME[name] for name in _GROUPS.get(machine, "").split())


def go_name(architecture: Architecture) -> str:
    """Return docker's name of an architecture."""
    return _GO.get(architecture.name, architecture.name)


@cache
def calls(name: str) -> Mapping[str, int]:
    """Return an architecture's calls and their numbers."""
    lines = _FILE.read_text(encoding="ascii").splitlines()[1:]
    column = lines[0].split().index(name)
    rows = (line.split() for line in lines[1:])
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


@cache
def every_name() -> frozenset[str]:
    """Return the names of all calls of all architectures."""
    return frozenset(line.split(" ", 1)[0] for line in _FILE.read_text(encoding="ascii").splitlines()[2:])
