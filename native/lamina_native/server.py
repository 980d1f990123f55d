"""The FUSE fast path as an object: threads in C that answer /dev/fuse from a core."""

from __future__ import annotations

from lamina_native._core import ffi, lib
from lamina_native.errors import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_native._core import CData
    from lamina_native.core import Core

TRISTATE = {"auto": lib.LAM_AUTO, "off": lib.LAM_OFF, "on": lib.LAM_ON}
PASSTHROUGH = TRISTATE | {"upper": lib.LAM_UPPER}

UNMOUNTED: int = lib.LAM_EVENT_UNMOUNTED
SIGNAL: int = lib.LAM_EVENT_SIGNAL
SLOW_WANTED: int = lib.LAM_EVENT_SLOW_WANTED
FAILED: int = lib.LAM_EVENT_FAILED


class Server:
    """Serves `core` on the descriptor of /dev/fuse.  start(), wait() until it ends, close().

    Both the core and the descriptor are borrowed and must outlive close().
    """

    __slots__ = ("_detail", "handle")

    def __init__(
        self,
        core: Core,
        fuse_fd: int,
        *,
        passthrough: str = "auto",
        stateless: str = "auto",
        writeback: str = "auto",
        follow: str = "auto",
        io_uring: bool = False,
        max_write: int = 0,
        pool_threads: int = 0,
        debug: bool = False,
        direct_read: int = 0,
        entry_timeout: float = 86400.0,
        attr_timeout: float = 86400.0,
        negative_timeout: float = 86400.0,
        forward: bytes = b"",
    ) -> None:
        config = ffi.new("struct lam_server_config *")
        config.fuse_fd = fuse_fd
        config.passthrough = PASSTHROUGH[passthrough]
        config.stateless = TRISTATE[stateless]
        config.writeback = TRISTATE[writeback]
        config.max_write = max_write
        config.pool_threads = pool_threads
        config.debug = debug
        config.direct_read = direct_read
        config.follow = TRISTATE[follow]
        config.io_uring = TRISTATE["on" if io_uring else "off"]
        config.entry_timeout = entry_timeout
        config.attr_timeout = attr_timeout
        config.negative_timeout = negative_timeout
        forwarded = ffi.new("char[]", forward)
        if forward:
            config.forward = forwarded
        out = ffi.new("struct lam_server **")
        check(lib.lam_server_open(core.handle, config, out), "open the FUSE server")
        self.handle: CData = out[0]
        self._detail = ffi.new("int *")

    def start(self) -> None:
        """Start the threads; the mount is usable from here on."""
        check(lib.lam_server_start(self.handle), "start the FUSE server")

    def prime(self, mountpoint: bytes) -> None:
        """Make the kernel know at once that opens are stateless; a failure costs requests, no more."""
        lib.lam_server_prime(self.handle, mountpoint)

    def uring(self) -> int:
        """Return 0 if requests come over io_uring, else an errno: why they do not."""
        return -int(lib.lam_server_uring(self.handle))

    def wait(self) -> tuple[int, int]:
        """Return the next (event, signal number or errno); blocks without the GIL."""
        event = check(lib.lam_server_wait(self.handle, self._detail), "wait for the FUSE server")
        return event, self._detail[0]

    @property
    def slow_fd(self) -> int:
        """The slow path's end of the pair; the server keeps owning it."""
        return int(lib.lam_server_slow_fd(self.handle))

    def slow_failed(self) -> None:
        """Say that no slow path will come."""
        lib.lam_server_slow_failed(self.handle)

    def stop(self) -> None:
        """End the threads; returns when they are gone."""
        lib.lam_server_stop(self.handle)

    def close(self) -> None:
        """Free the stopped server.  Again is fine."""
        handle, self.handle = self.handle, ffi.NULL
        lib.lam_server_free(handle)
