"""What a pull or push tells about itself while it runs."""

from typing import Protocol


class Progress(Protocol):
    """Draws progress, or does not.  Called in the event loop; `key` is a blob's short digest."""

    def start(self, key: str, total: int, text: str) -> None:
        """Say that work on a blob of `total` bytes begins."""

    def advance(self, key: str, count: int) -> None:
        """Say that `count` bytes more are done; negative when something is done again."""

    def done(self, key: str, text: str) -> None:
        """Say how it ended."""


class Silent:
    """Says nothing."""

    def start(self, key: str, total: int, text: str) -> None:
        """Say nothing."""

    def advance(self, key: str, count: int) -> None:
        """Say nothing."""

    def done(self, key: str, text: str) -> None:
        """Say nothing."""
