"""What goes wrong in a store."""

from __future__ import annotations

import errno

from lamina_runtime import contexts
from lamina_runtime.errors import LaminaError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.fspath import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


class StoreError(LaminaError):
    """The store, or the disk below it, does not do what was asked."""


class MissingError(NotFoundError):
    """Something is not in the store."""


def strange(root: Path, why: str) -> StoreError:
    """Return the refusal to write to a store that is another's."""
    return StoreError(
        f"store {root}: Permission denied: {why}, so it is only read here",
        hint="run lamina as its owner, or give all of it one owner (chown -R)",
    )


@contexts.contextmanager
def reported(root: Path) -> Iterator[None]:
    """Turn what the operating system says of the store's files into one line for people."""
    try:
        yield
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename else ""
        hint = (
            "remove images or raise the quota; nothing in the store is damaged" if exc.errno in _FULL else ""
        )
        raise StoreError(f"store {root}{where}: {exc.strerror or exc}", hint=hint) from exc
