"""The kernel's classic BPF machine as far as seccomp lets programs use it, to try filters of any machine."""

from __future__ import annotations

from collections.abc import Sequence

Instruction = tuple[int, int, int, int]


def run(program: Sequence[Instruction], audit: int, number: int, *args: int, big: bool = False) -> int:
    """Return what a filter returns for a call; AssertionError where the kernel would refuse it."""
    words = {0: number & 0xFFFFFFFF, 4: audit}
    for index in range(6):
        value = args[index] if index < len(args) else 0
        halves = (value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)
        words[16 + 8 * index], words[20 + 8 * index] = reversed(halves) if big else halves
    at, accumulator = 0, 0
    for _ in range(len(program)):  # jumps go forward only
        code, yes, no, operand = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = words[operand]
            case 0x54:
                accumulator &= operand
            case 0x05:
                at += operand
            case 0x15:
                at += yes if accumulator == operand else no
            case 0x25:
                at += yes if accumulator > operand else no
            case 0x35:
                at += yes if accumulator >= operand else no
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"no instruction of seccomp: {code:#x}")
    raise AssertionError("the program ran past its end")


def steps(program: Sequence[Instruction], audit: int, number: int) -> int:
    """Return how many instructions a call without arguments costs."""
    at, accumulator, count = 0, 0, 0
    words = {0: number, 4: audit}
    while True:
        code, yes, no, operand = program[at]
        count, at = count + 1, at + 1
        match code:
            case 0x20:
                accumulator = words.get(operand, 0)
            case 0x05:
                at += operand
            case 0x15:
                at += yes if accumulator == operand else no
            case 0x35:
                at += yes if accumulator >= operand else no
            case 0x06:
                return count
