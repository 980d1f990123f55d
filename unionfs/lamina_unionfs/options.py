"""The options of a mount: read `-o` strings into one frozen value.

Theory.  Options come from three worlds and keep the names they have there: kernel overlayfs
(lowerdir, redirect_dir, metacopy ...), fuse-overlayfs (uidmapping, squash_to_root ...), and
mount(8) and libfuse (ro, nosuid, fsname ...).  Each name has one row in `TABLE` or in one of the
small tables above it; a name without a row is an error.  A row reads its value and stores it;
what depends on the host (userxattr, allow_other) stays None until mount time.

An option that is accepted without effect is in `IGNORED`, with the reason; one that names a
thing that is not had here is in `REFUSED`, with the sentence that the user reads.
"""

from __future__ import annotations

from lamina_unionfs import values, words
from lamina_unionfs.errors import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Draft = dict[str, object]

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS = 1, 2, 4, 8, 16
MS_DIRSYNC, MS_NOSYMFOLLOW, MS_NOATIME, MS_NODIRATIME = 128, 256, 1024, 2048
MS_RELATIME, MS_STRICTATIME = 1 << 21, 1 << 24

FLAGS = {  # name: (bits, set them)
    "ro": (MS_RDONLY, True),
    "rw": (MS_RDONLY, False),
    "nosuid": (MS_NOSUID, True),
    "suid": (MS_NOSUID, False),
    "nodev": (MS_NODEV, True),
    "dev": (MS_NODEV, False),
    "noexec": (MS_NOEXEC, True),
    "exec": (MS_NOEXEC, False),
    "sync": (MS_SYNCHRONOUS, True),
    "async": (MS_SYNCHRONOUS, False),
    "dirsync": (MS_DIRSYNC, True),
    "nosymfollow": (MS_NOSYMFOLLOW, True),
    "noatime": (MS_NOATIME, True),
    "atime": (MS_NOATIME, False),
    "nodiratime": (MS_NODIRATIME, True),
    "diratime": (MS_NODIRATIME, False),
    "relatime": (MS_RELATIME, True),
    "norelatime": (MS_RELATIME, False),
    "strictatime": (MS_STRICTATIME, True),
    "nostrictatime": (MS_STRICTATIME, False),
}

IGNORED = frozenset(
    # mount(8)'s own words; they have done their work before the driver is called
    "defaults auto noauto user nouser users nousers owner group nofail _netdev comment nonempty "
    "private rprivate shared rshared slave rslave unbindable runbindable silent loud "
    # times are the layers' business; FUSE keeps none of its own
    "lazytime nolazytime iversion noiversion mand nomand "
    # libfuse's tuning of its own threads, pipes and caches; here engine=, max_write=, timeout= rule
    "subtype blksize max_read async_read sync_read big_writes clone_fd max_idle_threads max_threads "
    "max_background congestion_threshold max_readahead kernel_cache auto_cache noauto_cache "
    "atomic_o_trunc intr splice_read splice_write splice_move "
    "no_splice_read no_splice_write no_splice_move "
    # fuse-overlayfs's: threads and inode numbers are always as the option asks for at best
    "threaded fast_ino "
    # libfuse's: the kernel always checks permissions
    "default_permissions "
    # kernel overlayfs's: st_dev and the file system id are FUSE's
    "uuid override_creds".split()
)

REFUSED = {
    "allow_root": "allow_root is not supported; allow_other is",
    "auto_unmount": "auto_unmount is not supported; the server unmounts when it ends",
    "blkdev": "blkdev is not supported: a union has no block device",
    "remount": "remount is not supported: unmount and mount again",
    "datadir+": "data-only layers (datadir+) are not supported",
    "nodefault_permissions": "nodefault_permissions is not supported: nobody else would check permissions",
    "nooverride_creds": "nooverride_creds is not supported: the layers are read as the server's user",
}

DEFAULTS: Draft = {
    "lower": (),
    "upper": (),
    "work": (),
    "device": (),
    "devicedir": "",
    "layers_file": "",
    "create_policy": "top",
    "redirect_dir": "on",
    "metacopy": True,
    "index": True,
    "xino": True,
    "userxattr": None,
    "fsync": "auto",
    "noacl": False,
    "static_nlink": False,
    "noxattrs": False,
    "xattr_permissions": 0,
    "squash_to_root": False,
    "squash_to_uid": None,
    "squash_to_gid": None,
    "uidmap": (),
    "gidmap": (),
    "engine": "native",
    "passthrough": "auto",
    "open": "auto",
    "writeback": "auto",
    "follow": "auto",
    "io_uring": False,
    "forward": "",
    "max_write": 0,
    "direct_read": 0,
    "entry_timeout": 86400.0,
    "attr_timeout": 86400.0,
    "negative_timeout": 86400.0,
    "allow_other": None,
    "flags": 0,
    "source": "",
    "security_contexts": (),
}


class Options:
    """What a mount was asked to be.  Frozen; paths are str as in sys.argv."""

    __slots__ = tuple(DEFAULTS)

    lower: tuple[str, ...]
    upper: tuple[str, ...]
    work: tuple[str, ...]
    device: tuple[str, ...]
    devicedir: str
    layers_file: str
    create_policy: str
    redirect_dir: str
    metacopy: bool
    index: bool
    xino: bool
    userxattr: bool | None
    fsync: str
    noacl: bool
    static_nlink: bool
    noxattrs: bool
    xattr_permissions: int
    squash_to_root: bool
    squash_to_uid: int | None
    squash_to_gid: int | None
    uidmap: tuple[tuple[int, int, int], ...]
    gidmap: tuple[tuple[int, int, int], ...]
    engine: str
    passthrough: str
    open: str
    writeback: str
    follow: str
    io_uring: bool
    forward: str
    max_write: int
    direct_read: int
    entry_timeout: float
    attr_timeout: float
    negative_timeout: float
    allow_other: bool | None
    flags: int
    source: str
    security_contexts: tuple[str, ...]

    def __init__(self, draft: Draft) -> None:
        for name in Options.__slots__:
            object.__setattr__(self, name, draft[name])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"options are frozen: {name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Options):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Options.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in Options.__slots__))

    @property
    def readonly(self) -> bool:
        """Whether changes are refused: asked for, or no upper to take them."""
        return bool(self.flags & MS_RDONLY) or not self.upper


def _store(field: str, read: Callable[[str, str | None], object]) -> Callable[[Draft, str, str | None], None]:
    def row(draft: Draft, name: str, value: str | None) -> None:
        draft[field] = read(name, value)

    return row


def _choice(field: str, *choices: str) -> Callable[[Draft, str, str | None], None]:
    return _store(field, lambda name, value: values.choice(name, value, choices))


def _constant(field: str, constant: object) -> Callable[[Draft, str, str | None], None]:
    def row(draft: Draft, name: str, value: str | None) -> None:
        values.flag(name, value)
        draft[field] = constant

    return row


def _paths(field: str) -> Callable[[Draft, str, str | None], None]:
    return _store(field, lambda name, value: words.split_paths(values.text(name, value), name))


def _add_path(field: str) -> Callable[[Draft, str, str | None], None]:
    def row(draft: Draft, name: str, value: str | None) -> None:
        draft[field] = (*_tuple(draft[field]), _path(name, value))

    return row


def _path(name: str, value: str | None) -> str:
    return words.unescape(values.text(name, value))


def _tuple(value: object) -> tuple[object, ...]:
    assert isinstance(value, tuple)
    return value


def _fsync(draft: Draft, name: str, value: str | None) -> None:
    spelled = {"0": "volatile", "1": "auto"}.get(value or "", value)  # fuse-overlayfs's numbers
    draft["fsync"] = values.choice(name, spelled, ("auto", "strict", "volatile"))


def _timeout(draft: Draft, name: str, value: str | None) -> None:
    time = values.seconds(name, value)
    draft["entry_timeout"] = draft["attr_timeout"] = draft["negative_timeout"] = time


def _writeback(draft: Draft, name: str, value: str | None) -> None:
    draft["writeback"] = "on" if value is None or values.on_off(name, value) else "off"


def _noxattrs(draft: Draft, name: str, value: str | None) -> None:
    draft["noxattrs"] = value is None or values.on_off(name, value)


def _io_uring(draft: Draft, name: str, value: str | None) -> None:
    draft["io_uring"] = value is None or values.on_off(name, value)


def _xino(draft: Draft, name: str, value: str | None) -> None:
    draft["xino"] = values.choice(name, value, ("on", "off", "auto")) != "off"


def _only_off(draft: Draft, name: str, value: str | None) -> None:
    if value not in ("off", "0"):
        raise OptionError(f"{name}={value or ''} is not supported, only {name}=off")


def _plugins(draft: Draft, name: str, value: str | None) -> None:
    if value:
        raise OptionError("plugins are not supported")


def _security_context(draft: Draft, name: str, value: str | None) -> None:
    option = f"{name}={values.text(name, value)}"
    draft["security_contexts"] = (*_tuple(draft["security_contexts"]), option)


TABLE: dict[str, Callable[[Draft, str, str | None], None]] = {
    # kernel overlayfs
    "lowerdir": _paths("lower"),
    "lowerdir+": _add_path("lower"),
    "upperdir": _paths("upper"),
    "workdir": _paths("work"),
    "redirect_dir": _choice("redirect_dir", "on", "off", "follow", "nofollow"),
    "metacopy": _store("metacopy", values.on_off),
    "index": _store("index", values.on_off),
    "xino": _xino,
    "userxattr": _constant("userxattr", True),
    "volatile": _constant("fsync", "volatile"),
    "nfs_export": _only_off,
    "verity": _only_off,
    # the kernel's EROFS, for lowers that are images
    "device": _add_path("device"),
    # fuse-overlayfs
    "uidmapping": _store("uidmap", values.id_map),
    "gidmapping": _store("gidmap", values.id_map),
    "squash_to_root": _constant("squash_to_root", True),
    "squash_to_uid": _store("squash_to_uid", values.number),
    "squash_to_gid": _store("squash_to_gid", values.number),
    "static_nlink": _constant("static_nlink", True),
    "noacl": _constant("noacl", True),
    "acl": _constant("noacl", False),
    "noxattrs": _noxattrs,
    "xattr_permissions": _store("xattr_permissions", lambda name, value: values.number(name, value, top=2)),
    "fsync": _fsync,
    "timeout": _timeout,
    "writeback": _writeback,
    "plugins": _plugins,
    # libfuse
    "fsname": _store("source", _path),
    "allow_other": _constant("allow_other", True),
    "entry_timeout": _store("entry_timeout", values.seconds),
    "attr_timeout": _store("attr_timeout", values.seconds),
    "negative_timeout": _store("negative_timeout", values.seconds),
    "direct_read": _store("direct_read", values.number),
    "max_write": _store("max_write", lambda name, value: values.number(name, value, top=1 << 24)),
    # ours
    "noallow_other": _constant("allow_other", False),
    "nouserxattr": _constant("userxattr", False),
    "nowriteback": _constant("writeback", "off"),
    "create_policy": _choice("create_policy", "top", "most-free", "path-preserving"),
    "engine": _choice("engine", "native", "pyfuse3"),
    "passthrough": _choice("passthrough", "auto", "on", "upper", "off"),
    "open": _choice("open", "auto", "stateless", "handles"),
    "follow": _choice("follow", "auto", "on", "off"),
    "io_uring": _io_uring,
    "forward": _store("forward", lambda name, value: values.text(name, value).replace(":", ",")),
    "layers": _store("layers_file", values.text),
    "devicedir": _store("devicedir", _path),
} | dict.fromkeys(words.QUOTED, _security_context)


def parse(strings: Sequence[str]) -> Options:
    """Read `-o` strings, later ones after earlier ones; raise OptionError for what makes no sense."""
    draft = dict(DEFAULTS)
    for string in strings:
        for option in words.split_options(string):
            name, equals, value = option.partition("=")
            _apply(draft, name, value if equals else None)
    return Options(draft)


def _apply(draft: Draft, name: str, value: str | None) -> None:
    row = TABLE.get(name)
    if row is not None:
        row(draft, name, value)
    elif name in FLAGS:
        values.flag(name, value)
        bits, wanted = FLAGS[name]
        flags = draft["flags"]
        assert isinstance(flags, int)
        draft["flags"] = flags | bits if wanted else flags & ~bits
    elif name in REFUSED:
        raise OptionError(REFUSED[name])
    elif name not in IGNORED and not name.startswith(("x-", "X-")):
        raise OptionError(f"unknown option '{name}'")


def with_layers(
    options: Options,
    lower: Sequence[str],
    upper: Sequence[str],
    work: Sequence[str],
    device: Sequence[str] = (),
) -> Options:
    """Return the options with further layers below those it has."""
    draft: Draft = {name: getattr(options, name) for name in Options.__slots__}
    draft["lower"] = (*options.lower, *lower)
    draft["upper"] = (*options.upper, *upper)
    draft["work"] = (*options.work, *work)
    draft["device"] = (*options.device, *device)
    return Options(draft)
