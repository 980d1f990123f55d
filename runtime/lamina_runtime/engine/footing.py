"""On what a container stands: the best this host gives, and the next-best where something is missing.

Theory.  What can be seen without cost is looked at before a start (`first`): capabilities,
/dev/fuse, what the container was made with.  Everything else is found out by starting: the launcher
names what the host refused (report.h), and `below` says with what to try again, until it works or
nothing is left.  So no host pays for probes, and nothing is believed that was not tried.

A container's files take one of three forms, kept in its `form`:

  driver    an upper, over the image, by our driver
  overlay   the same upper, over an unpacked copy of the image that containers share, by the kernel
  copy      a tree of its own; what changed is told by comparison

From `overlay` one may go to `driver`, since both write the same format.  A driver's upper may have
redirects, which the kernel does not follow for plain users, and a copy has no upper; so other
changes are refused once there is something to lose.
"""

from __future__ import annotations

import errno
import os
import sys

from lamina_runtime.container import capabilities, ids
from lamina_runtime.container.common import NAMESPACES
from lamina_runtime.container.launch import LaunchError
from lamina_runtime.container.records import Op, Record
from lamina_runtime.errors import LaminaError
from lamina_runtime.fspath import Path
from lamina_runtime.store import files
from lamina_runtime.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.container.state import Container
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.store.images import Image

DRIVER, OVERLAY, COPY = "driver", "overlay", "copy"
_FORM = "form"
_FUSE = 10, 229  # devices.txt of the kernel
_SAID = {
    OVERLAY: "no /dev/fuse: kernel overlayfs over an unpacked copy of the image takes the driver's place",
    COPY: "nothing here can mount the image: the container gets a copy of it",
    "chroot": "NOT ISOLATED: this host gives no namespaces, so the container has a root of its own only; it "
    "shares network, processes, users and host name with everything else here, and has no /proc",
    "pid": "NOT ISOLATED: no pid namespace here, the container sees and can signal other processes",
}


@value
class Footing:
    """What one container gets."""

    ids: ids.Ids
    form: str
    kinds: tuple[str, ...] = NAMESPACES
    have: frozenset[str] | None = None  # capabilities there are to give; None: all
    notes: tuple[str, ...] = ()

    @property
    def enclosed(self) -> bool:
        """Whether it has a mount namespace; otherwise only its root is changed."""
        return "mount" in self.kinds

    def noted(self, *keys: str) -> Footing:
        """Return the same with further notes for who starts it."""
        return replace(self, notes=(*self.notes, *(_SAID.get(key, key) for key in keys)))


def hoped(engine: Engine) -> Footing:
    """Return the best that this host seems to give to a container that is not made yet."""
    mapped = engine.ids
    have = None if mapped.uids else capabilities_here()
    if have is not None and "SYS_ADMIN" not in have:
        return Footing(mapped, COPY, (), have).noted("chroot", COPY)
    standing = Footing(mapped, DRIVER, have=have).noted(*([_of_one_id(mapped)] if mapped.why else []))
    return standing if _has_fuse() else replace(standing, form=OVERLAY).noted(OVERLAY)


def first(engine: Engine, container: Container) -> Footing:
    """Return the best that can be hoped for with what a container has been so far."""
    standing = hoped(engine)
    if form(container) == COPY and standing.enclosed:
        notes = tuple(note for note in standing.notes if note != _SAID[OVERLAY])
        return replace(standing, form=COPY, notes=notes)
    return _checked(standing, container)


def below(engine: Engine, container: Container, standing: Footing, refused: LaunchError) -> Footing:
    """Return with what to try again after the host refused something; the refusal where nothing is left."""
    match refused.rung:
        case "ids" if not standing.ids.single:
            engine.doubt_ids()
            return replace(standing, ids=engine.ids).noted(_of_one_id(engine.ids))
        case "union" if standing.form == OVERLAY:
            tried = replace(standing, form=COPY, notes=())
            return _checked(tried, container).noted(*standing.notes, COPY)
        case "mount" if not standing.ids.uids:
            tried = replace(standing, form=COPY, kinds=(), have=capabilities_here())
            return _checked(tried, container).noted("chroot", COPY)
        case "pid" | "ipc" | "uts" | "cgroup" as kind if kind in standing.kinds:
            left = replace(standing, kinds=tuple(other for other in standing.kinds if other != kind))
            return left.noted(_SAID.get(kind, f"no {kind} namespace here, the host's is shared"))
        case (
            "user" | "mount" | "ids"
        ):  # where AppArmor is asked, a user namespace gives no right to the others
            raise LaunchError(
                refused.status,
                f"this user can have no containers here: {refused}",
                refused.details,
                hint="'lamina doctor' says what would mend it; pull, mount and inspect work",
            )
    raise refused


def _of_one_id(mapped: ids.Ids) -> str:
    return f"{mapped.why}: one id takes the place of many, and root is played"


def described(standing: Footing) -> dict[str, str]:
    """Return what `info` shows of it."""
    mapped = standing.ids
    many = f"{sum(row.count for row in mapped.uids)} (subordinate)"
    files_of = {
        DRIVER: "image under our driver",
        OVERLAY: "unpacked image under kernel overlayfs",
        COPY: "a copy of the image",
    }
    return {
        "ContainerIDs": "all (root)" if not mapped.uids else "one, root is played" if mapped.single else many,
        "ContainerFiles": files_of[standing.form],
        "ContainerIsolation": "namespaces" if standing.enclosed else "none but a root of its own",
    }


def _checked(standing: Footing, container: Container) -> Footing:
    """Refuse a form in which the container's files cannot be shown."""
    kept = form(container)
    if kept in ("", standing.form) or not any((container.data / "upper").iterdir()):
        return standing
    what = "an image mounted by our driver" if kept == DRIVER else "an image that is mounted"
    raise LaminaError(
        f"container {container.record.name} has changes over {what}, which this host does not give",
        hint="'lamina doctor' says what would mend it",
    )


def form(container: Container) -> str:
    """Return the form of a container's files, "" before its first start."""
    try:
        return (container.data / _FORM).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def copy(container: Container) -> Path:
    """Return where a container's own tree is, if it has one."""
    return container.data / "tree"


def root(container: Container, standing: Footing) -> Path:
    """Return where a container's tree is seen once what `tree` says is done."""
    return copy(container) if standing.form == COPY else container.run / "merged"


def prepare(engine: Engine, container: Container, image: Image, standing: Footing) -> None:
    """Make what the form needs before anything is mounted, and note the form.  Takes its turn before."""
    (container.run / "merged").mkdir(mode=0o755, parents=True, exist_ok=True)
    if standing.form != DRIVER:
        from lamina_runtime.engine import unpacked  # it brings processes and temporary files
    if standing.form == COPY:
        unpacked.fill(copy(container), standing.ids, settings(image, engine.ids))
    elif standing.form == OVERLAY:
        unpacked.shared(engine.root, image, standing.ids, settings(image, engine.ids))
    if form(container) != standing.form:
        text = f"{standing.form}\n".encode()
        durable = standing.form != DRIVER  # which an unknown one is taken for
        files.replace(container.data / _FORM, text, temporary=container.data, durable=durable)


def tree(engine: Engine, container: Container, image: Image, standing: Footing) -> Iterator[Record]:
    """Yield the records that mount a container's tree."""
    if standing.form == DRIVER:
        for word in _driver(container, image, standing.ids):
            yield Record(Op.DRIVER, word)
    elif standing.form == OVERLAY:
        from lamina_runtime.engine import unpacked

        lower = unpacked.place(engine.root, image, standing.ids)
        parts = (container.data / part for part in ("upper", "work"))
        how = "userxattr" if standing.ids.uids or not _initial() else ""
        yield Record(Op.UNION, str(lower), *map(str, parts), str(container.run / "merged"), how)


def _driver(container: Container, image: Image, mapped: ids.Ids) -> list[str]:
    """Return the command that mounts a container's tree and serves it."""
    import lamina_unionfs

    script = str(Path(lamina_unionfs.__file__).parent / "start.py")
    words = [settings(image, mapped), f"upperdir={_escaped(container.data / 'upper')}"]
    words.append(f"workdir={_escaped(container.data / 'work')}")
    flags = ["-f", "--ready-fd=3", "-o", ",".join(words)]
    return [sys.executable, "-I", "-S", script, *flags, "--", str(container.run / "merged")]


def settings(image: Image, mapped: ids.Ids) -> str:
    """Return the driver's options for an image alone, seen with the ids that containers have."""
    words = [f"lowerdir={_escaped(image.metadata)}"]
    if image.diff_ids:
        words.append(f"devicedir={_escaped(image.folder)}")
    if mapped.single:
        words += ["squash_to_uid=0", "squash_to_gid=0"]
    return ",".join(words)


def _escaped(path: Path) -> str:
    text = str(path)
    for special in ("\\", ":", ","):
        text = text.replace(special, "\\" + special)
    return text


def open_fuse() -> None:
    """Open /dev/fuse and close it again; OSError where that cannot be, or where something else is there."""
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_rdev != os.makedev(*_FUSE):
            raise OSError(errno.ENODEV, "something else is mounted in its place")
    finally:
        os.close(fd)


def _has_fuse() -> bool:
    try:
        open_fuse()
    except OSError:
        return False
    return True


def _initial() -> bool:
    """Say whether we are in the first user namespace, whose root may write trusted attributes."""
    with open("/proc/self/uid_map", "rb") as file:
        return file.read().split() == [b"0", b"0", b"4294967295"]


def may(name: str) -> bool:
    """Say whether we have a capability, to use and to pass on."""
    return name in capabilities_here()


def capabilities_here() -> frozenset[str]:
    """Return what we may do and pass on."""
    rows = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        if line.startswith("Cap")
    )  # fmt: skip
    mask = int(rows["CapEff"], 16) & int(rows["CapBnd"], 16)
    return frozenset(name for number, name in enumerate(capabilities.NAMES) if mask >> number & 1)
