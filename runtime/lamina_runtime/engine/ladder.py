"""The ladder: what this host gives to containers, found by trying it.

Theory.  No version is compared and no setting is read to tell what works: each rung is climbed, by
the launcher in a child or by a file made and removed, and the kernel's own answer is what is shown.
Settings are looked at only afterwards, to say which line would mend a rung that broke.

The order is that of a container's start; a rung may need those above it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from pathlib import Path

from lamina_runtime.container import ids, launch, plan
from lamina_runtime.container.records import Op, Record
from lamina_runtime.container.seccomp import assembler, default, tables
from lamina_runtime.engine import footing
from lamina_runtime.engine.networking import TUN
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_FICLONE = 0x40049409
_NETWORK_SYSTEMS = frozenset(("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs"))
_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns", "1"
_APPARMOR_FIX = (
    "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or the profile in docs/restricted-hosts.md"
)
_OUTER = "start the outer container with --security-opt "
_OWNERS = "all files are root's; --root-emulation record remembers the owners that programs wish"
_HELPERS = ("slirp4netns", "pasta")


@value
class Rung:
    """One thing a container wants, whether it is to be had, and what follows."""

    name: str
    found: bool
    detail: str  # the kernel's answer, or what was found
    means: str  # what happens without it; "" where it is there
    fix: str  # one line that would mend it; "" where it is there


class Ladder:
    """The probes of one user over one store."""

    def __init__(self, root: Path) -> None:
        self._root = next(path for path in (root, *root.parents) if path.is_dir())
        self._uid = os.geteuid()
        self._ids = ids.choose(self._uid, os.getegid())
        self._within = self._uid == 0 and not footing.may("SYS_ADMIN")  # root, but of a container

    def climb(self) -> Iterator[Rung]:
        """Try everything, from the first need to the last."""
        if self._uid:
            yield self._user_namespace()
            yield self._subordinate()
        yield self._namespace("mount", "a root of its own is all a container gets (chroot), and only as root")
        yield self._namespace("pid", "processes of the host are seen, and can be signalled")
        yield self._namespace("network", "the host's network is shared")
        yield self._namespace("cgroup", "the host's cgroup paths are seen")
        yield self._proc()
        yield self._seccomp()
        fuse = self._fuse()
        yield fuse
        yield self._overlay(needed=not fuse.found)
        yield self._cgroup()
        yield self._network_helper()
        yield self._attributes()
        yield self._reflinks()
        yield self._executable()
        yield self._kind_of_store()

    def _try(self, kinds: Sequence[str], *extra: Record) -> str:
        """Return "" where a plan with these namespaces runs, else why not."""
        maps = self._ids if self._uid else ids.Ids()
        flags = sum(plan.NAMESPACES[kind] for kind in kinds)
        rows = [Record(Op.NAMESPACES, hex(flags)), Record(Op.CWD, "/"), Record(Op.IDS, 0, 0, "")]
        if "user" in kinds:
            own = self._ids.uids[:1], self._ids.gids[:1]
            rows += [Record(Op.UIDMAP, row.inside, row.outside, row.count) for row in own[0]]
            rows += [Record(Op.GIDMAP, row.inside, row.outside, row.count) for row in own[1]]
        elif maps.uids:
            return "needs a user namespace"
        rows += [*extra, Record(Op.STDIO), Record(Op.ARG, sys.executable), Record(Op.ARG, "-V")]
        return _launched(rows)

    def _inside(self, kind: str) -> list[str]:
        """Return a namespace and those without which this user has no right to it."""
        return (["user"] if self._uid else []) + [kind]

    def _user_namespace(self) -> Rung:
        error = self._try(["user"])
        return _rung(
            "user namespace",
            error,
            "no containers for this user: pull, mount and inspect only",
            _userns_fix(),
        )

    def _subordinate(self) -> Rung:
        chosen = self._ids
        error = ""
        if not chosen.mappers:
            missing = [name for name in ("newuidmap", "newgidmap") if not shutil.which(name)]
            absent = f"{missing[0]} is missing" if missing else "none in /etc/subuid and /etc/subgid"
            error = chosen.why or absent
        else:
            rows = [Record(Op.NAMESPACES, hex(plan.NAMESPACES["user"])), Record(Op.CWD, "/")]
            rows += [Record(Op.UIDMAP, row.inside, row.outside, row.count) for row in chosen.uids]
            rows += [Record(Op.GIDMAP, row.inside, row.outside, row.count) for row in chosen.gids]
            rows += [Record(Op.MAPPER, *chosen.mappers), Record(Op.IDS, 0, 0, ""), Record(Op.STDIO)]
            error = _launched([*rows, Record(Op.ARG, sys.executable), Record(Op.ARG, "-V")])
        name = os.environ.get("USER") or str(self._uid)
        fix = f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
        if not shutil.which("newuidmap"):
            fix = "apt-get install uidmap"
        elif chosen.why or chosen.mappers:
            fix = "apt-get install --reinstall uidmap, on a file system that is mounted without nosuid"
        means = f"one id: root is played; {_OWNERS}"
        return _rung("subordinate ids", error, means, fix)

    def _namespace(self, kind: str, means: str) -> Rung:
        error = self._try(self._inside(kind))
        short = {"mount": "mnt", "network": "net"}.get(kind, kind)
        fix = f"sysctl user.max_{short}_namespaces=10000"
        if self._uid and _is(*_APPARMOR):
            fix = _APPARMOR_FIX
        if self._within:
            fix = _OUTER + "seccomp=unconfined --cap-add SYS_ADMIN"
        return _rung(f"{kind} namespace", error, means, fix)

    def fresh_proc(self) -> bool:
        """Whether a proc of one's own can be mounted."""
        return self._proc().found

    def _proc(self) -> Rung:
        proc = Record(Op.MOUNT, "proc", "proc", "/proc", "0xe", "")
        error = self._try([*self._inside("mount"), "pid"], proc)
        means = "the outer /proc is shown; it is masked by the container around us"
        return _rung(
            "fresh /proc",
            error,
            means,
            _OUTER + "systempaths=unconfined",
        )

    def _seccomp(self) -> Rung:
        native = tables.group(os.uname().machine)
        if not native:
            error = f"no tables for {os.uname().machine}"
        else:
            code = assembler.assemble(default.rules((), native), native)
            rows = [Record(Op.NO_NEW_PRIVS), Record(Op.SECCOMP, code)]
            error = self._try(["user"] if self._uid else [], *rows)
        means = "containers start with --security-opt seccomp=unconfined only"
        return _rung("system call filter", error, means, "a kernel with CONFIG_SECCOMP_FILTER=y")

    def _fuse(self) -> Rung:
        error = _error(footing.open_fuse)
        means = "images are unpacked: once for all containers under kernel overlayfs, else for each anew"
        missing = not Path("/dev/fuse").exists()
        fix = "modprobe fuse" if missing else "chmod 0666 /dev/fuse"
        if missing and _in_container():
            fix = "start the outer container with --device /dev/fuse"
        return _rung("/dev/fuse", error, means, fix)

    def _overlay(self, *, needed: bool) -> Rung:
        def attempt(top: Path) -> str:
            for name in ("lower", "upper", "work"):
                (top / name).mkdir()
            words = [f"{name}dir={top / name}" for name in ("lower", "upper", "work")]
            options = ",".join([*words, "userxattr"])
            mount = Record(Op.MOUNT, "overlay", "overlay", str(top / "lower"), "0x0", options)
            return self._try(self._inside("mount"), mount)

        means = "each container gets a copy of its image" if needed else "nothing: /dev/fuse is there"
        return _rung("kernel overlayfs", self._with_directory(attempt), means, "modprobe overlay")

    def _cgroup(self) -> Rung:
        error = _error(_make_cgroup)
        means = "--memory, --cpus and --pids-limit cannot be kept"
        return _rung("cgroup delegation", error, means, _cgroup_fix(user=self._uid != 0))

    def _network_helper(self) -> Rung:
        found = next(filter(None, map(shutil.which, _HELPERS)), None)
        error, fix = "", "apt-get install slirp4netns"
        if not found:
            error = f"none of {', '.join(_HELPERS)}"
        elif not os.access(TUN, os.R_OK | os.W_OK):
            error = f"{TUN} cannot be opened"
            fix = f"chmod 0666 {TUN}" if os.path.exists(TUN) else "modprobe tun"
            if _in_container():
                fix = f"start the outer container with --device {TUN}"
        means = "containers share the host's network, or have one without a way out; -p works"
        return _rung("network helper", error, means, fix, detail=found or "")

    def _attributes(self) -> Rung:
        def attempt(top: Path) -> str:
            return _error(lambda: os.setxattr(top, "user.lamina.probe", b"1"))

        means = "uppers cannot be kept in this store"
        return _rung(
            "user xattrs in store",
            self._with_directory(attempt),
            means,
            "lamina --root DIR on ext4, xfs or btrfs",
        )

    def _reflinks(self) -> Rung:
        def attempt(top: Path) -> str:
            (top / "a").write_bytes(b"1" * 4096)

            def clone() -> None:
                with (top / "a").open("rb") as source, (top / "b").open("wb") as target:
                    fcntl.ioctl(target, _FICLONE, source.fileno())

            return _error(clone)

        means = "a copy-up copies bytes"
        return _rung("reflinks in store", self._with_directory(attempt), means, "a store on xfs or btrfs")

    def _executable(self) -> Rung:
        flags = os.statvfs(self._root).f_flag
        error = "the store is mounted noexec" if flags & os.ST_NOEXEC else ""
        means = "nothing under /dev/fuse, whose mounts are ours; a copied image does not run"
        return _rung(
            "store without noexec", error, means, f"mount -o remount,exec {_mount_point(self._root)}"
        )

    def _kind_of_store(self) -> Rung:
        kind = _file_system(self._root)
        error = kind if kind in _NETWORK_SYSTEMS else ""
        means = "locks and rename may be slow or unsafe between hosts"
        return _rung("local store", error, means, "lamina --root DIR on a local disk", detail=kind)

    def _with_directory(self, attempt: Callable[[Path], str]) -> str:
        try:
            with tempfile.TemporaryDirectory(prefix=".lamina-probe-", dir=self._root) as name:
                return attempt(Path(name))
        except OSError as exc:
            return f"{exc.filename or self._root}: {exc.strerror}"


def _rung(name: str, error: str, means: str, fix: str, *, detail: str = "works") -> Rung:
    return Rung(name, not error, error or detail, means if error else "", fix if error else "")


def _launched(rows: Sequence[Record]) -> str:
    """Carry out a plan whose program says nothing that matters; return why it failed."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    kept = os.dup(1)
    try:
        os.dup2(null, 1)
        started = launch.start(rows)
        os.waitpid(started.monitor, 0)
    except launch.LaunchError as exc:
        return str(exc)
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)
    return ""


def _error(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""


def _make_cgroup() -> None:
    """Make a cgroup below our own, and remove it."""
    rows = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    own = next((row[3:] for row in rows if row.startswith("0::")), None)
    base = Path("/sys/fs/cgroup")
    if own is None or not (base / "cgroup.controllers").exists():
        raise OSError(0, "no unified hierarchy (cgroup v2) at /sys/fs/cgroup")
    where = base / own.lstrip("/")
    if not {"memory", "pids"} <= set((where / "cgroup.controllers").read_text(encoding="ascii").split()):
        raise OSError(0, "no controllers for memory and pids")
    probe = where / f"lamina-probe-{os.getpid()}"
    probe.mkdir()
    probe.rmdir()


def _in_container() -> bool:
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()


def _mount_point(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if os.path.ismount(one))


def _cgroup_fix(*, user: bool) -> str:
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "boot with systemd.unified_cgroup_hierarchy=1"
    return f"systemd-run {'--user ' if user else ''}--scope -p Delegate=yes $SHELL"


def _userns_fix() -> str:
    """Return the setting that forbids user namespaces, as far as one can be seen."""
    for name, bad, line in (
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
        (*_APPARMOR, _APPARMOR_FIX),
    ):
        if _is(name, bad):
            return line
    return _OUTER + "seccomp=unconfined"


def _is(name: str, value: str) -> bool:
    """Say whether a kernel parameter, if it is there, has a value."""
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip() == value
    except OSError:
        return False


def _file_system(path: Path) -> str:
    """Return the type of the file system that holds a path."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if words[2] == wanted and "-" in words:
            return words[words.index("-") + 1]
    return "unknown"
