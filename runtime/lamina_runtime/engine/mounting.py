"""Mount images and unmount them.

Theory.  The driver is a process of its own, started before anything is known (`drivers`): so its pid is
there when it is needed, and the lease on the image can be handed to it before it works.  It says
through a pipe that the mount is usable; if it ends before, its log says why.  Its start and our
own, side by side, are what a mount costs: whatever the size of the image, nothing of it is read.

With `kernel`, as root, EROFS is the kernel's own.  mount(8) puts the image on a loop device, and then
the kernel wants the layers on such too; they are detached at once, which takes effect when the
mount ends, however it ends.

What an image says about setuid and devices is a stranger's word, and root's mounts are open to all
users: it is believed only if `suid` and `dev` ask for it.
"""

from __future__ import annotations

import errno
import os

from lamina_runtime import contexts
from lamina_runtime.engine import drivers, mountinfo, mounts, naming, uppers
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.drivers import Driver
    from lamina_runtime.engine.mounts import Mount
    from lamina_runtime.store.images import Image

START_SECONDS = 60.0
LAZY_SECONDS = 1.0
LARGEST_LOG = 4096
FULLEST_PAGE = 4000
DISTRUST = ("nosuid", "nodev")
OURS = frozenset({"lowerdir", "lowerdir+", "upperdir", "workdir", "device", "devicedir", "layers", "fsname"})
KERNELS = frozenset({"ro", "suid", "nosuid", "dev", "nodev", "exec", "noexec"})  # of what `-o` may say


@value
class Wish:
    """How an image is to be mounted."""

    writable: bool = False
    upper: str = ""
    squash: bool = False
    kernel: bool = False
    options: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether the kernel does all of it."""
        return self.kernel and not self.writable


class BusyError(LaminaError):
    """A mount is in use."""


def mount(engine: Engine, word: str, place: str, wish: Wish, *, driver: Driver | None = None) -> Mount:
    """Mount an image at a directory; return when it is usable.  A `driver` may have started already."""
    if driver is None and not wish.alone:
        with drivers.started() as made:
            return mount(engine, word, place, wish, driver=made)
    _check(wish)
    place = os.path.realpath(place)
    if not os.path.isdir(place):
        raise NotFoundError(
            f"{place}: not a directory", hint=f"mkdir {place}" if not os.path.exists(place) else ""
        )
    store = engine.store
    with store.lease(f"mount {place}") as lease, mounts.locked(engine) as top, contexts.ExitStack() as undo:
        others = tidy(engine, top)
        image, reference = naming.resolve(store, word)
        if any(other.place == place for other in others):
            raise BusyError(f"{place}: an image is mounted there", hint=f"lamina unmount {place}")
        record = _record(engine, image, reference.familiar if reference else image.id.short, place)
        if wish.writable:
            record = _with_upper(engine, record, wish.upper, undo)
        if driver is not None:
            began = mounts.start_time(driver.pid) or 0
            record = replace(record, pid=driver.pid, started=began, lease=lease.name)
        with store.unchanging():
            image = store.images.get(image.id)  # whoever removes images sees the record, or was before it
            mounts.write(top, record)
        undo.callback(mounts.forget, top, record)
        if wish.kernel:
            record = _mount_kernel(top, image, record, wish, undo)
            record = replace(record, lease=record.lease or lease.keep())
            mounts.write(top, record)
        if driver is not None:
            undo.callback(driver.end)
            lease.hand_over(driver.pid)
            driver.tell(
                [f"--log={_log(top, record)}", "-o", _options(image, record, wish), "--", record.place]
            )
            _await(top, record, driver)
        undo.pop_all()
        return record


def _check(wish: Wish) -> None:
    if wish.upper and not wish.writable:
        raise UsageError("--upper needs --rw")
    if wish.kernel and os.geteuid() != 0:
        raise UsageError("--kernel: only root may let the kernel mount an image")
    if wish.kernel and wish.squash and not wish.writable:
        raise UsageError("--kernel and --squash exclude each other: the kernel shows owners as they are")
    if wish.options:
        _check_options(wish)


def _check_options(wish: Wish) -> None:
    """Refuse options that would make the mount another than the record says, or that nobody would obey."""
    from lamina_unionfs import words
    from lamina_unionfs.errors import OptionError

    try:
        options = words.split_options(",".join(wish.options))
    except OptionError as error:
        raise UsageError(f"-o {error}") from error
    for option in options:
        name = option.partition("=")[0]
        if name in OURS:
            raise UsageError(f"-o {name}: the image's layers and --upper say that")
        if wish.alone and option not in KERNELS:
            raise UsageError(f"-o {name}: with --kernel there is no driver to obey it")


def _record(engine: Engine, image: Image, name: str, place: str) -> Mount:
    return mounts.Mount(
        place=place,
        image_id=str(image.id),
        name=name,
        root=str(engine.root),
        driver=mounts.FUSE,
        source=name,
        boot=mounts.boot(),
        namespace=mounts.namespace(),
    )


def _with_upper(engine: Engine, record: Mount, name: str, undo: contexts.ExitStack) -> Mount:
    directory = uppers.take(engine, name, record.image_id)
    for other in mounts.active(engine):
        if other.upper == str(directory):
            raise BusyError(f"upper {name} is in use at {other.place}")
    if not name:
        undo.callback(uppers.remove, directory)
    return replace(record, upper=str(directory), fresh=not name)


def _options(image: Image, record: Mount, wish: Wish) -> str:
    """Return the driver's option string."""
    if record.lower:
        words = [f"lowerdir={_escaped(record.lower)}"]
    else:
        words = [f"lowerdir={_escaped(str(image.metadata))}"]
        if image.diff_ids:
            words.append(f"devicedir={_escaped(str(image.folder))}")
    if record.upper:
        words += [f"upperdir={_escaped(record.upper)}/upper", f"workdir={_escaped(record.upper)}/work"]
    else:
        words.append("ro")
    if wish.squash:
        words += [f"squash_to_uid={os.getuid()}", f"squash_to_gid={os.getgid()}"]
    words.append(f"fsname={_escaped(record.source)}")
    return ",".join([*words, *DISTRUST, *wish.options])


def _escaped(path: str) -> str:
    for special in ("\\", ":", ","):
        path = path.replace(special, "\\" + special)
    return path


def _log(top: Path, record: Mount) -> str:
    return str(top / f"{mounts.key(record.place)}.log")


def _await(top: Path, record: Mount, driver: Driver) -> None:
    """Wait until the mount is usable; raise LaminaError with the driver's reason if it is not to be."""
    usable = driver.is_usable(START_SECONDS)
    if usable:
        return
    reason = "the driver did not answer"
    if usable is not None:
        reason = _logged(top, record) or driver.complaint() or "the driver ended without a word"
    helpless = "fusermount3" in reason and "access" not in reason
    raise LaminaError(
        f"cannot mount {record.name} at {record.place}: {reason}",
        hint="lamina unshare: a shell in which mounting needs no fusermount3" if helpless else "",
    )


def _logged(top: Path, record: Mount) -> str:
    with contexts.suppress(FileNotFoundError):
        with open(_log(top, record), "rb") as file:
            text = file.read()[-LARGEST_LOG:].decode("utf-8", "replace")
        return text.strip().removeprefix("lamina-unionfs: ")
    return ""


def _mount_kernel(top: Path, image: Image, record: Mount, wish: Wish, undo: contexts.ExitStack) -> Mount:
    """Mount the metadata image by the kernel's EROFS, below the union if there is to be one."""
    place = record.place
    if record.upper:
        place = str(top / f"{mounts.key(record.place)}.lower")
        os.makedirs(place, mode=0o700, exist_ok=True)
        undo.callback(os.rmdir, place)
    loops: list[str] = []
    try:
        loops.extend(
            _command("losetup", "--find", "--show", "--read-only", str(device)).strip()
            for device in image.devices
        )
        asked = wish.options if wish.alone else ()  # else they are the union's
        options = ",".join(["ro", *DISTRUST, *asked, *(f"device={loop}" for loop in loops)])
        if len(options) > FULLEST_PAGE:
            raise LaminaError(
                f"{record.name} has too many layers for the kernel's mount options", hint="leave out --kernel"
            )
        _command("mount", "-i", "-t", "erofs", "-o", options, str(image.metadata), place)
    finally:
        if loops:
            _command("losetup", "--detach", *loops)  # those in use go when they are not any more
    undo.callback(_detach, place, lazy=True)
    if record.upper:
        return replace(record, lower=place)
    return replace(record, driver=mounts.KERNEL, source=str(image.metadata))


def _command(*argv: str) -> str:
    """Run one of the system's commands; return its stdout, raise LaminaError with its stderr."""
    import subprocess

    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LaminaError(f"{argv[0]} is not installed", hint="leave out --kernel") from error
    if done.returncode:
        why = " ".join(done.stderr.split())
        raise LaminaError(f"the kernel cannot mount the image: {why}", hint="leave out --kernel")
    return done.stdout


def _detach(place: str, *, lazy: bool) -> None:
    from lamina_native.mount import unmount as native_unmount

    native_unmount(os.fsencode(place), lazy=lazy)


def unmount(engine: Engine, record: Mount, *, lazy: bool = False) -> None:
    """Unmount one image; raise BusyError if it is in use."""
    with mounts.locked(engine) as top:
        try:
            _detach(record.place, lazy=lazy)
        except OSError as error:
            # fusermount3 says no more than that it failed: with a live server that is EBUSY.
            if error.errno == errno.EBUSY or (error.errno == errno.EPERM and _serves(record)):
                raise BusyError(
                    f"{record.place}: target is busy",
                    hint=f"end what uses it, or take it out of sight: lamina unmount --lazy {record.place}",
                ) from error
            if error.errno not in (errno.ENOENT, errno.EINVAL):  # it is not mounted any more
                raise
        gone = _ends(record, LAZY_SECONDS)
        # A namespace that was made meanwhile has a copy: the server ends with that, as after --lazy.
        if not gone and not lazy and not mountinfo.seen_elsewhere(record.place, mounts.FUSE_KIND):
            gone = _ends(record, drivers.END_SECONDS)
            if not gone:
                raise BusyError(f"{record.place}: unmounted, but its server does not end")
        if gone:
            _clean(engine, top, record)
        elif not lazy and not record.fresh:
            mounts.forget(top, record)  # no mount here any more; the lease ends with the server


def _ends(record: Mount, seconds: float) -> bool:
    return not _serves(record) or drivers.ended(record.pid, seconds, began=record.started)


def _serves(record: Mount) -> bool:
    return bool(record.pid) and mounts.start_time(record.pid) == record.started


def tidy(engine: Engine, top: Path) -> list[Mount]:
    """Clear away what mounts that are gone have left: a dead server's mount, a fresh upper, a lease.

    Returns the records of those that are there.  Of other roots' mounts, stale records only go.
    """
    there = []
    for record in mounts.recorded(engine):
        if mounts.is_active(record):
            there.append(record)
            continue
        entry = mountinfo.at(record.place)
        if entry is not None and entry.kind == mounts.FUSE_KIND and entry.source == record.source:
            with contexts.suppress(OSError):
                _detach(record.place, lazy=True)
        _clean(engine, top, record)
    mounts.forget_strays(engine, top)
    return there


def _clean(engine: Engine, top: Path, record: Mount) -> None:
    if record.lower:
        with contexts.suppress(OSError):
            _detach(record.lower, lazy=True)
        with contexts.suppress(FileNotFoundError):
            os.rmdir(record.lower)
    if record.lease:
        engine.store.end_lease(record.lease)
    if record.fresh and os.path.isdir(record.upper):
        from pathlib import Path

        uppers.remove(Path(record.upper))
    mounts.forget(top, record)


def meant(engine: Engine, words: Sequence[str]) -> list[Mount]:
    """Return the mounts that words mean: directories, or images with all their mounts."""
    found: dict[str, Mount] = {}
    records = mounts.active(engine)
    for word in words:
        place = os.path.realpath(word)
        these = [record for record in records if record.place == place]
        if not these:
            try:
                image_id = str(naming.resolve(engine.store, word).image.id)
            except LaminaError:
                image_id = ""
            these = [record for record in records if image_id and record.image_id == image_id]
        if not these:
            raise NotFoundError(
                f"{word}: neither a mount of ours nor a mounted image", hint="lamina mount lists mounts"
            )
        found |= {record.place: record for record in these}
    return list(found.values())
