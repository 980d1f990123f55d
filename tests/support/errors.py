"""Failures of the test machinery, apart from failures of what is tested."""

from __future__ import annotations


class SupportError(RuntimeError):
    """The test bed itself could not be set up or taken down."""


class RemoteFailure(AssertionError):
    """A function failed in an agent's child; str() is the traceback there."""

    def __init__(self, text: str, *, kind: str, errno: int | None) -> None:
        super().__init__(text)
        self.kind = kind
        self.errno = errno


class DeadlineExceeded(RemoteFailure):
    """A function did not come back in time and was killed."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} did not return in {seconds:g} s", kind="deadline", errno=None)
