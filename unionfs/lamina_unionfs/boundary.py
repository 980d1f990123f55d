"""The border between handlers and libfuse: where exceptions become answers."""

from __future__ import annotations

import errno
import functools
import logging
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import pyfuse3

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


def boundary(handler: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[object, object, T]]:
    """Translate failures for the kernel.

    OSError is an answer; any other exception is our bug: log it with the request and answer
    EIO, because an exception that escapes ends the mount.
    """

    @functools.wraps(handler)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await handler(*args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from error
        except Exception as error:
            log.exception("unexpected failure in %s%r", getattr(handler, "__name__", "handler"), args[1:])
            raise pyfuse3.FUSEError(errno.EIO) from error

    return wrapper
