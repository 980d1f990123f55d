"""Standard descriptors that whoever started us has closed.

What is opened next would get their numbers, and be taken for input or output by every program that we
start.  Python says which ones are missing: it has no stream for them.
"""

import posix
import sys


def complete() -> None:
    """Open /dev/null for each of 0, 1 and 2 that is closed, to be inherited as they are."""
    while (number := posix.open("/dev/null", posix.O_RDWR)) <= 2:  # the lowest that is free
        posix.set_inheritable(number, True)  # noqa: FBT003 - posix takes it no other way
    posix.close(number)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
