"""The life of a mount: open the layers, attach, serve, detach.

Theory.  Everything that can fail for a reason of the user's fails before `ready()`, leaves
nothing mounted and is one DriverError.  Afterwards the process waits for one of four events:
the mount is gone, a signal asks for the end, the first request for the slow path came, or the
fast path cannot go on.

The mount point is made absolute before the mount exists: the server never resolves a path
through its own mount.
"""

from __future__ import annotations

import errno
import posix

from lamina_native import core as native
from lamina_native import server as fast
from lamina_native.errors import Refused

from lamina_unionfs import capabilities, layers, mounting, paths, report
from lamina_unionfs.errors import DriverError
from lamina_unionfs.options import MS_RDONLY, with_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lamina_unionfs.options import Options
    from lamina_unionfs.slow import SlowPath

RING_PARAMETER = "/sys/module/fuse/parameters/enable_uring"
STATELESS = {"auto": "auto", "stateless": "on", "handles": "off"}


def serve(
    options: Options, mountpoint: str, *, ready: Callable[[], None], detached: bool, debug: bool = False
) -> int:
    """Mount, call `ready()`, serve until the mount is gone; return the exit status."""
    try:
        if options.layers_file:
            options = with_layers(options, *layers.read_file(options.layers_file))
        layers.check(options)
        place = _place(mountpoint)
        if options.engine == "pyfuse3":
            if options.io_uring:
                report.note("io_uring: engine=pyfuse3 reads /dev/fuse", detached=False)
            from lamina_unionfs import complete_path

            complete_path.complete()
            from lamina_unionfs import slow

            return slow.serve_alone(options, place, ready=ready, detached=detached, debug=debug)
        with open_core(options) as core:
            return _serve_fast(core, options, place, ready=ready, detached=detached, debug=debug)
    except DriverError as error:
        report.note(str(error), detached=False)
        return error.exit_code


def _place(mountpoint: str) -> bytes:
    try:
        return paths.canonical(mountpoint)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DriverError(f"mount point {mountpoint}: {reason}") from error


def open_core(options: Options) -> native.Core:
    """Open the union core as the options say."""
    try:
        return native.Core(
            lower=[paths.encode(path) for path in options.lower],
            upper=[paths.encode(path) for path in options.upper],
            work=[paths.encode(path) for path in options.work],
            flags=_core_flags(options),
            redirect=options.redirect_dir,
            fsync=options.fsync,
            create_policy=options.create_policy,
            xattr_permissions=options.xattr_permissions,
            squash_uid=options.squash_to_uid or 0,
            squash_gid=options.squash_to_gid or 0,
            uidmap=options.uidmap,
            gidmap=options.gidmap,
            device=[paths.encode(path) for path in options.device],
            devicedir=paths.encode(options.devicedir),
        )
    except Refused as error:
        raise DriverError(error.reason) from error


def _core_flags(options: Options) -> int:
    userxattr = options.userxattr
    if userxattr is None:
        userxattr = not capabilities.real_root()
    wanted = (
        (native.METACOPY, options.metacopy),
        (native.INDEX, options.index),
        (native.USERXATTR, userxattr),
        (native.NOACL, options.noacl),
        (native.STATIC_NLINK, options.static_nlink),
        (native.NOXATTR, options.noxattrs),
        (native.XINO, options.xino),
        (native.SQUASH_TO_ROOT, options.squash_to_root),
        (native.SQUASH_TO_UID, options.squash_to_uid is not None),
        (native.SQUASH_TO_GID, options.squash_to_gid is not None),
        (native.READONLY, bool(options.flags & MS_RDONLY)),
    )
    return sum(bit for bit, on in wanted if on)


def _serve_fast(
    core: native.Core,
    options: Options,
    place: bytes,
    *,
    ready: Callable[[], None],
    detached: bool,
    debug: bool,
) -> int:
    device = mounting.attach(options, place)
    try:
        server = fast.Server(
            core,
            device,
            passthrough=options.passthrough,
            stateless=STATELESS[options.open],
            writeback=options.writeback,
            follow=options.follow,
            io_uring=options.io_uring,
            max_write=options.max_write,
            direct_read=options.direct_read,
            debug=debug,
            entry_timeout=options.entry_timeout,
            attr_timeout=options.attr_timeout,
            negative_timeout=options.negative_timeout,
            forward=paths.encode(options.forward),
        )
        server.start()
        server.prime(place)
        if options.io_uring:
            _say_without_ring(server.uring())
    except OSError as error:
        mounting.detach(place)
        posix.close(device)
        raise DriverError(f"{error.filename}: {error.strerror}") from error
    try:
        _announce(ready, place)
        return _Events(core, server, options, place, detached=detached, debug=debug).run()
    finally:
        server.stop()
        server.close()
        posix.close(device)


def _announce(ready: Callable[[], None], place: bytes) -> None:
    try:
        ready()
    except DriverError:  # nobody waits any more
        mounting.detach(place)
        raise


def _say_without_ring(reason: int) -> None:
    if reason == 0:
        return
    why = posix.strerror(reason)
    if reason == errno.EOPNOTSUPP:
        why = f"the kernel does not offer it (root enables it in {RING_PARAMETER})"
    report.note(f"io_uring: {why}; requests are read from /dev/fuse", detached=False)


class _Events:
    """Waits in the thread that owns the process, and answers each event."""

    def __init__(
        self,
        core: native.Core,
        server: fast.Server,
        options: Options,
        place: bytes,
        *,
        detached: bool,
        debug: bool,
    ) -> None:
        self.core, self.server, self.options, self.place = core, server, options, place
        self.detached, self.debug = detached, debug
        self.slow: SlowPath | None = None

    def run(self) -> int:
        """Return the exit status when the mount is gone."""
        try:
            while True:
                event, detail = self.server.wait()
                if event == fast.UNMOUNTED:
                    return 0
                if event == fast.SIGNAL:
                    return self._detach()
                if event == fast.FAILED:
                    report.note(f"the server cannot go on: {posix.strerror(detail)}", detached=self.detached)
                    self._detach()
                    return 1
                if event == fast.SLOW_WANTED:
                    self._start_slow()
        finally:
            if self.slow is not None:
                self.slow.stop()

    def _detach(self) -> int:
        try:
            mounting.detach(self.place)
        except OSError as error:
            report.note(
                f"cannot unmount {paths.decode(self.place)}: {error.strerror}", detached=self.detached
            )
            return 1
        return 0

    def _start_slow(self) -> None:
        try:
            from lamina_unionfs import complete_path

            complete_path.complete()
            from lamina_unionfs import slow

            report.configure_logging(detached=self.detached, debug=self.debug)
            self.slow = slow.SlowPath(self.core, self.server, self.options)
            self.slow.start()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the fast path goes on
            report.note(f"no slow path: {error}", detached=self.detached)
            self.server.slow_failed()
