"""Where a negative errno becomes an exception."""

from posix import strerror

from lamina_native._core import lib

WOULD_COPY = -lib.LAM_EAGAIN


class WouldCopy(Exception):
    """The verb would copy much data and has changed nothing: repeat it from a thread that may block."""


def check(result: int, what: str) -> int:
    """Return `result` if it is not negative; raise OSError (or WouldCopy) naming `what` otherwise."""
    if result >= 0:
        return result
    if result == WOULD_COPY:
        raise WouldCopy(what)
    raise OSError(-result, strerror(-result), what)


class Refused(OSError):
    """A layer stack or a mount that cannot be had; `reason` is one line for the user."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(number, reason)
        self.reason = reason


def check_why(result: int, why: bytes, what: str) -> int:
    """Return `result` if it is not negative; raise Refused with the line that C wrote otherwise."""
    if result >= 0:
        return result
    reason = why.decode("utf-8", "backslashreplace") if why else f"{what}: {strerror(-result)}"
    raise Refused(-result, reason)
