"""Start a command as on an older kernel: `python -m tests.differential.oldcalls COMMAND ARG…`.

A seccomp filter answers ENOSYS to the system calls below.  It exercises what a driver does where
they are missing; and strace of Debian 12 can meddle with every call that is left.
"""

import ctypes
import errno
import os
import struct
import sys

YOUNG = {"fchmodat2": 452, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466}
PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse(numbers: list[int]) -> None:
    """Have these system calls fail with ENOSYS in this process and what it starts."""
    rules = [struct.pack("<HBBI", _LOAD, 0, 0, 0)]  # the call's number
    for index, number in enumerate(numbers):
        rules.append(struct.pack("<HBBI", _JUMP_IF_EQUAL, len(numbers) - index, 0, number))
    rules.append(struct.pack("<HBBI", _RETURN, 0, 0, _ALLOW))
    rules.append(struct.pack("<HBBI", _RETURN, 0, 0, _ERRNO | errno.ENOSYS))
    program = _Program(len(rules), b"".join(rules))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*words) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def main() -> None:
    """Refuse, then become the command."""
    refuse(list(YOUNG.values()))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
