"""Write runtime/lamina_runtime/container/seccomp/calls.txt from the kernel's headers.

    python runtime/tools/syscalls.py [OUT]

Theory.  Numbers of system calls come from asm/unistd.h, as Debian's linux-libc-dev and its -cross
packages have it for each architecture, through the C preprocessor of the host.  Calls newer than
those headers have the same number everywhere since 424, beside an architecture's base: they are
listed here (arch/*/tools/syscall.tbl of Linux 6.17).  LoongArch is in no Debian 12 package; it is
asm-generic/unistd.h with what arch/loongarch/include/uapi/asm/unistd.h asks for.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

OUT = Path(__file__).parent.parent / "lamina_runtime/container/seccomp/calls.txt"
MULTIARCH = "/usr/include/x86_64-linux-gnu"
GENERIC = "/usr/riscv64-linux-gnu/include"
MIPS = "/usr/mips64el-linux-gnuabi64/include"
S390 = "/usr/s390x-linux-gnu/include"
# architecture: (include directory, header, definitions of its compiler, base of its numbers)
SOURCES: dict[str, tuple[str, str, str, int]] = {
    "x86_64": (MULTIARCH, "asm/unistd_64.h", "", 0),
    "i386": (MULTIARCH, "asm/unistd_32.h", "", 0),
    "x32": (MULTIARCH, "asm/unistd_x32.h", "__X32_SYSCALL_BIT=0x40000000", 0x40000000),
    "aarch64": ("/usr/aarch64-linux-gnu/include", "asm/unistd.h", "__aarch64__=1", 0),
    "arm": ("/usr/arm-linux-gnueabihf/include", "asm/unistd.h", "__arm__=1 __ARM_EABI__=1", 0),
    "ppc64le": ("/usr/powerpc64le-linux-gnu/include", "asm/unistd.h", "__powerpc64__=1", 0),
    "s390x": (S390, "asm/unistd_64.h", "", 0),
    "s390": (S390, "asm/unistd_32.h", "", 0),
    "riscv64": (GENERIC, "asm/unistd.h", "__riscv_xlen=64 __LP64__=1 __SIZEOF_POINTER__=8", 0),
    "loongarch64": (
        GENERIC,
        "asm-generic/unistd.h",
        (
            "__riscv_xlen=64 __SIZEOF_POINTER__=8 __ARCH_WANT_SYS_CLONE=1 __ARCH_WANT_SYS_CLONE3=1 "
            "__ARCH_WANT_NEW_STAT=1"
        ),
        0,
    ),
    "mips64el": (MIPS, "asm/unistd_n64.h", "__NR_Linux=5000", 5000),
    "mipsn32el": (MIPS, "asm/unistd_n32.h", "__NR_Linux=6000", 6000),
    "mipsel": (MIPS, "asm/unistd_o32.h", "__NR_Linux=4000", 4000),
}
NEWER = (
    "cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount "
    "lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat "
    "removexattrat open_tree_attr file_getattr file_setattr"
).split()
FIRST_NEWER = 451
NO_CALLS = re.compile(r"Linux|syscalls$|arch_specific_syscall|SYSCALL_|OABI|_unused|unused\d|reserved\d")


def headers_missing() -> list[str]:
    """Return the header files that this machine lacks."""
    paths = [Path(where, header) for where, header, _, _ in SOURCES.values()]
    return [str(path) for path in paths if not path.exists()]


def numbers(architecture: str) -> dict[str, int]:
    """Return an architecture's calls."""
    where, header, definitions, base = SOURCES[architecture]
    options = [f"-D{word}" for word in definitions.split()]
    include = f'#include "{header}"\n'
    macros = _preprocess(include, ["-dM", *options], where)
    names = re.findall(r"^#define __(?:ARM_)?NR_(\w+) ", macros, re.MULTILINE)
    arm = set(re.findall(r"^#define __ARM_NR_(\w+) ", macros, re.MULTILINE)) - {"BASE"}
    lines = [
        f"=={name} __{'ARM_' if name in arm else ''}NR_{name}"
        for name in names
        if not NO_CALLS.search(name) and name != "BASE"
    ]
    text = _preprocess(include + "\n".join(lines) + "\n", options, where)
    found = {
        name: _value(expression) for name, expression in re.findall(r"^==(\w+) +(.+)$", text, re.MULTILINE)
    }
    newer = {name: base + FIRST_NEWER + at for at, name in enumerate(NEWER)}
    return newer | found


def _preprocess(source: str, options: Sequence[str], where: str) -> str:
    # the host's own words would choose a wrong branch of a header for another machine
    foreign = [] if where == MULTIARCH else ["-undef"]
    command = ["gcc", "-E", "-P", "-nostdinc", *foreign, "-isystem", where, "-isystem", "/usr/include"]
    done = subprocess.run(
        [*command, *options, "-x", "c", "-"], input=source, capture_output=True, text=True, check=True
    )
    return done.stdout


def _value(expression: str) -> int:
    """Return a constant expression of numbers, sums and parentheses."""

    def of(node: ast.AST) -> int:
        match node:
            case ast.Constant(value=int(value)):
                return value
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return of(left) + of(right)
        raise ValueError(f"no number: {expression}")

    return of(ast.parse(expression.strip(), mode="eval").body)


def table() -> str:
    """Return the file's text: a heading, then one line a call, "-" where an architecture lacks it."""
    found = {architecture: numbers(architecture) for architecture in SOURCES}
    names = sorted(set().union(*found.values()))
    rows = [
        " ".join([name, *(str(found[architecture].get(name, "-")) for architecture in SOURCES)])
        for name in names
    ]
    return "\n".join(["# generated by runtime/tools/syscalls.py", " ".join(["call", *SOURCES]), *rows]) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else OUT).write_text(table(), encoding="ascii")
