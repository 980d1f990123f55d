"""From linux.seccomp (runtime-spec) to a classic BPF program.

Theory.  The program reads the architecture first, since the same number means another call on each,
then finds the number in a binary tree over ranges of equal outcome: some ten comparisons for three
hundred calls.  The kernel (5.11) runs the tree once for each number whose outcome does not depend
on arguments and keeps the answer in a bitmap; loads of the number and the architecture, JEQ, JGE and
JA are among what it can follow.  An architecture that is not listed kills the process, as with
libseccomp; a number that is in no table gets the default action, as does a call under its x32 number
where x32 is not listed.

Of several rules for a call the first whose conditions hold decides, those without conditions last.

Arguments.  The kernel's int parameters ignore the upper half of a register, so a comparison of all
64 bits can be passed by setting one of them: ioctl(fd, 1 << 32 | TIOCSTI) was CVE-2019-10063 in
Flatpak.  For the parameters listed in _NARROW only the lower half is compared.
"""

from __future__ import annotations

from _struct import pack

from lamina_runtime.container.seccomp.tables import BY_SPEC, Architecture, calls
from lamina_runtime.errors import LaminaError
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LIMIT = 4096  # BPF_MAXINSNS
# classic BPF, linux/bpf_common.h
_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_EQUAL, _GREATER, _AT_LEAST = 0x15, 0x25, 0x35
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data
_REACH = 255  # a conditional jump's
_ACTIONS = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_VALUE = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
KILL_PROCESS = _ACTIONS["SCMP_ACT_KILL_PROCESS"]
_NARROW: Mapping[str, tuple[int, ...]] = {
    "ioctl": (0, 1), "fcntl": (0, 1), "socket": (0, 1, 2), "socketpair": (0, 1, 2), "personality": (0,),
    "prctl": (0,), "keyctl": (0,), "bpf": (0,), "mknod": (1, 2), "mknodat": (0, 2, 3), "setns": (0, 1),
    "kcmp": (2,), "madvise": (2,), "quotactl": (0,), "futex": (1,), "setsockopt": (0, 1, 2),
    "getsockopt": (0, 1, 2), "socketcall": (0,), "openat": (0, 2), "open": (1,), "chmod": (1,),
    "fchmod": (0, 1), "fchmodat": (0, 2), "seccomp": (0, 1), "memfd_create": (1,),
}  # fmt: skip

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


class FilterError(LaminaError):
    """Rules of which no filter can be made."""

    exit_code = 125


@value
class Condition:
    """One comparison of an argument."""

    index: int
    op: str  # SCMP_CMP_*
    value: int
    mask: int = (1 << 64) - 1


@value
class Rule:
    """What is returned where all conditions hold."""

    result: int
    conditions: tuple[Condition, ...] = ()


def assemble(seccomp: Mapping[str, Any], native: Sequence[Architecture]) -> bytes:
    """Return struct sock_filter[]; `native` are the machine's architectures, its own first.

    FilterError where the rules say what a filter cannot do.
    """
    return b"".join(pack("=HBBI", *row) for row in instructions(seccomp, native))


def instructions(seccomp: Mapping[str, Any], native: Sequence[Architecture]) -> list[Instruction]:
    """Return the program of `assemble`, not yet packed."""
    default = result(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"))
    rules = _by_name(seccomp.get("syscalls") or ())
    listed = {BY_SPEC[word] for word in seccomp.get("architectures") or () if word in BY_SPEC}
    chosen = [row for at, row in enumerate(native) if at == 0 or row in listed]
    programs: dict[int, list[Instruction]] = {}
    for audit in dict.fromkeys(row.audit for row in chosen):
        numbers: dict[int, list[Instruction]] = {}
        for row in (row for row in chosen if row.audit == audit):
            numbers |= _blocks(row, rules, default)
        programs[audit] = [(_LOAD, 0, 0, _NUMBER_AT), *_tree(_ranges(numbers, default))]
    whole: list[Instruction] = [(_LOAD, 0, 0, _ARCHITECTURE_AT)]
    for audit, program in programs.items():
        whole += [(_EQUAL, 1, 0, audit), (_JUMP, 0, 0, len(program)), *program]
    whole.append((_RETURN, 0, 0, KILL_PROCESS))
    if len(whole) > LIMIT:
        raise FilterError(f"the system call filter has {len(whole)} instructions, the kernel takes {LIMIT}")
    return whole


def result(action: str, value: int | None) -> int:
    """Return what the filter returns for an action."""
    if action not in _ACTIONS:
        raise FilterError(f"system call filter: action {action} is not supported")
    if action not in _WITH_VALUE:
        return _ACTIONS[action]
    return _ACTIONS[action] | ((1 if value is None else value) & 0xFFFF)


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for row in rows:
        value = result(row["action"], row.get("errnoRet"))
        conditions = [_condition(arg) for arg in row.get("args") or ()]
        if len({condition.index for condition in conditions}) < len(conditions):
            # as in runc: several conditions on one argument are alternatives
            made = [Rule(value, (condition,)) for condition in conditions]
        else:
            made = [Rule(value, tuple(conditions))]
        for name in row["names"]:
            found.setdefault(name, []).extend(made)
    return {name: sorted(made, key=lambda rule: not rule.conditions) for name, made in found.items()}


def _condition(arg: Mapping[str, Any]) -> Condition:
    if arg["op"] == "SCMP_CMP_MASKED_EQ":  # value is the mask, valueTwo what is left under it
        mask = arg["value"]
        return Condition(arg["index"], "SCMP_CMP_EQ", arg.get("valueTwo") or 0, mask)
    return Condition(arg["index"], arg["op"], arg["value"])


def _blocks(
    architecture: Architecture, rules: Mapping[str, list[Rule]], default: int
) -> dict[int, list[Instruction]]:
    """Return what is to be done for each number that has rules."""
    numbers = calls(architecture.name)
    return {
        numbers[name]: _block(architecture, name, made, default)
        for name, made in rules.items()
        if name in numbers
    }


def _block(architecture: Architecture, name: str, rules: list[Rule], default: int) -> list[Instruction]:
    code: list[Instruction] = []
    for rule in rules:
        tests: list[Instruction] = []
        # from the last condition to the first: what follows is known, so jumps can be counted
        for condition in reversed(rule.conditions):
            narrow = not architecture.wide or condition.index in _NARROW.get(name, ())
            # to the next rule: past the tests that follow and the return
            tests = _compare(architecture, condition, narrow=narrow, fail=len(tests) + 1) + tests
        code += [*tests, (_RETURN, 0, 0, rule.result)]
        if not rule.conditions:
            return code
    return [*code, (_RETURN, 0, 0, default)]


_INVERSE = {"SCMP_CMP_NE": "SCMP_CMP_EQ", "SCMP_CMP_LT": "SCMP_CMP_GE", "SCMP_CMP_LE": "SCMP_CMP_GT"}
_LOWER = {"SCMP_CMP_EQ": _EQUAL, "SCMP_CMP_GT": _GREATER, "SCMP_CMP_GE": _AT_LEAST}


def _compare(
    architecture: Architecture, condition: Condition, *, narrow: bool, fail: int
) -> list[Instruction]:
    """Return code that goes on where the condition holds and else jumps `fail` further."""
    inverse = condition.op in _INVERSE
    op = _INVERSE.get(condition.op, condition.op)
    if op not in _LOWER:
        raise FilterError(f"system call filter: comparison {condition.op} is not supported")
    at = _ARGUMENTS_AT + 8 * condition.index
    low, high = (at + 4, at) if architecture.big else (at, at + 4)
    yes, no = (fail, 0) if inverse else (0, fail)  # counted from the end of this code
    code = _half(low, condition.mask & 0xFFFFFFFF)
    code.append((_LOWER[op], yes, no, condition.value & 0xFFFFFFFF))
    if narrow:
        return code
    upper = _half(high, condition.mask >> 32)
    value, rest = condition.value >> 32, len(code)
    if op == "SCMP_CMP_EQ":
        return [*upper, (_EQUAL, 0, no + rest, value), *code]
    return [*upper, (_GREATER, yes + rest + 1, 0, value), (_EQUAL, 0, no + rest, value), *code]


def _half(offset: int, mask: int) -> list[Instruction]:
    load = [(_LOAD, 0, 0, offset)]
    return load if mask == 0xFFFFFFFF else [*load, (_AND, 0, 0, mask)]


def _ranges(blocks: Mapping[int, list[Instruction]], default: int) -> list[tuple[int, list[Instruction]]]:
    """Return (first number, code) of neighbours with the same code, from 0 on."""
    nothing: list[Instruction] = [(_RETURN, 0, 0, default)]
    ranges = [(0, nothing)]
    expected = 0
    for number in sorted(blocks):
        if number != expected and ranges[-1][1] != nothing:
            ranges.append((expected, nothing))
        if ranges[-1][1] != blocks[number]:
            ranges.append((number, blocks[number]))
        expected = number + 1
    if ranges[-1][1] != nothing:
        ranges.append((expected, nothing))
    return ranges[1:] if ranges[1:] and ranges[1][0] == 0 else ranges


def _tree(ranges: Sequence[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """Return code that finds a number's range; its depth is the logarithm of their count."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _tree(ranges[:middle]), _tree(ranges[middle:])
    pivot = ranges[middle][0]
    if len(below) <= _REACH:
        return [(_AT_LEAST, len(below), 0, pivot), *below, *above]
    return [(_AT_LEAST, 0, 1, pivot), (_JUMP, 0, 0, len(below)), *below, *above]
