"""-v, --mount and --tmpfs: three spellings of what is to be mounted, to one value."""

from __future__ import annotations

import os

from lamina_runtime.container.wishes import SUBPATH, Mount
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed

VOLUME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
PROPAGATION = frozenset("shared slave private rshared rslave rprivate unbindable runbindable".split())
TMPFS = frozenset(
    "rw ro nosuid suid nodev dev noexec exec atime noatime diratime nodiratime relatime".split()
)
_VALUES = {
    "size": "[0-9]{1,18}[kKmMgGtT%]?",
    "mode": "0*[0-7]{1,4}",
    "uid": "[0-9]{1,10}",
    "gid": "[0-9]{1,10}",
    "nr_inodes": "[0-9]{1,18}[kKmMgG]?",
}
# what other runtimes need to be told, and what we need not (labels, how a copy is made)
PASSED_OVER = frozenset("rw z Z cached delegated consistent consistency".split())


def mounts(parsed: Parsed) -> tuple[Mount, ...]:
    """Return all that is to be mounted; UsageError where two want the same place."""
    found = [_volume(text) for text in parsed.several("volume")]
    found += [_mount(text) for text in parsed.several("mount")]
    found += [_tmpfs(text) for text in parsed.several("tmpfs")]
    targets = [os.path.normpath(one.target) for one in found]
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"duplicate mount point: {target}")
    return tuple(found)


def _volume(text: str) -> Mount:
    parts = text.split(":")
    if len(parts) == 1:
        return Mount("volume", "", _target(text, text))
    if len(parts) > 3 or not parts[0]:
        raise UsageError(f"invalid volume specification: '{text}'")
    source, target = parts[0], _target(parts[1], text)
    options = [word for word in (parts[2] if len(parts) == 3 else "").split(",") if word]
    host = source[0] in "/.~"
    for option in options:
        if option not in ("ro", *PROPAGATION, *PASSED_OVER, *(() if host else ("nocopy",))):
            raise UsageError(f"invalid mode: {parts[2]}")
    kept = tuple(option for option in options if option not in PASSED_OVER)
    if host:
        path = os.path.abspath(os.path.expanduser(source))
        return Mount("bind", path, target, ("create", *kept))
    import re

    if not re.fullmatch(VOLUME, source):
        raise UsageError(
            f'"{source}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path"
        )
    return Mount("volume", source, target, kept)


def _target(path: str, text: str) -> str:
    if not path.startswith("/"):
        raise UsageError(f"invalid volume specification: '{text}': mount path must be absolute")
    if os.path.normpath(path) == "/":
        raise UsageError(f"invalid volume specification: '{text}': destination can't be '/'")
    return path


def _mount(text: str) -> Mount:
    fields: dict[str, list[str]] = {}
    for part in _parts(text):
        name, equals, value = part.partition("=")
        key = _NAMES.get(name.strip().lower())
        if key is None:
            raise _wrong(text, f"unexpected key {name!r}")
        fields.setdefault(key, []).append(value if equals else "true")
    kind = fields.pop("type", ["volume"])[-1]
    if kind not in _KEYS:
        raise _wrong(text, f"unknown mount type {kind!r}")
    wrong = fields.keys() - _KEYS[kind] - _COMMON
    if wrong:
        raise _wrong(text, f"{min(wrong)} is not for mounts of type {kind}")
    target = fields.get("target", [""])[-1]
    if not target.startswith("/"):
        raise _wrong(text, "target is required, and absolute")
    _target(target, text)
    options = ["ro"] if _switch(text, fields, "readonly") else []
    if kind == "tmpfs":
        for name in ("size", "mode"):
            options += [_fitting(name, said) for said in fields.get(f"tmpfs-{name}", ())[-1:]]
        return Mount(kind, "", target, tuple(options))
    source = fields.get("source", [""])[-1]
    return (_bound if kind == "bind" else _kept)(text, fields, source, target, options)


def _bound(text: str, fields: dict[str, list[str]], source: str, target: str, options: list[str]) -> Mount:
    propagation = fields.get("bind-propagation", [""])[-1]
    if propagation:
        if propagation not in PROPAGATION:
            raise UsageError(f"invalid propagation: {propagation}")
        options.append(propagation)
    recursive = fields.get("bind-recursive", ["enabled"])[-1]
    if recursive not in ("enabled", "disabled", "writable", "readonly"):
        raise _wrong(text, f"invalid value for bind-recursive: {recursive!r}")
    if recursive == "writable":
        raise _wrong(text, "bind-recursive=writable: what is mounted below becomes read-only here as well")
    if recursive == "disabled" or _switch(text, fields, "bind-nonrecursive"):
        options.append("bind")
    if not source:
        raise _wrong(text, "source is required")
    path = os.path.abspath(source)
    if not os.path.exists(path):
        raise UsageError(f'invalid mount config for type "bind": bind source path does not exist: {path}')
    return Mount("bind", path, target, tuple(options))


def _kept(text: str, fields: dict[str, list[str]], source: str, target: str, options: list[str]) -> Mount:
    import re

    if source and not re.fullmatch(VOLUME, source):
        raise UsageError(f"invalid volume name: {source}")
    if fields.get("volume-driver", ["local"])[-1] != "local":
        raise UsageError(f"no such volume driver: {fields['volume-driver'][-1]}")
    if _switch(text, fields, "volume-nocopy"):
        options.append("nocopy")
    options += [f"label={_pair(label)}" for label in fields.get("volume-label", ())]
    for option in fields.get("volume-opt", ()):
        if "=" not in option:
            raise _wrong(text, f"volume-opt={option}: NAME=VALUE expected")
        options.append(f"opt={option}")
    below = fields.get("volume-subpath", [""])[-1]
    if below:
        if below.startswith("/") or ".." in below.split("/"):
            raise _wrong(text, f"volume-subpath {below!r} is to be a relative path within the volume")
        options += [f"{SUBPATH}{os.path.normpath(below)}"] if os.path.normpath(below) != "." else []
    return Mount("volume", source, target, tuple(options))


def _pair(text: str) -> str:
    return text if "=" in text else f"{text}="


def _parts(text: str) -> list[str]:
    """Split at commas as a line of CSV is: a field in quotes may hold some."""
    import csv

    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise _wrong(text, str(error)) from None
    return rows[0] if rows else []


def _switch(text: str, fields: dict[str, list[str]], key: str) -> bool:
    said = fields.get(key, ["false"])[-1]
    if said not in ("true", "1", "false", "0"):
        raise _wrong(text, f"invalid value for {key}: {said!r}")
    return said in ("true", "1")


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f'invalid argument "{text}" for "--mount" flag: {why}')


_COMMON = frozenset(("target", "source", "readonly", "consistency"))
_KEYS = {
    "bind": frozenset(("bind-propagation", "bind-nonrecursive", "bind-recursive")),
    "tmpfs": frozenset(("tmpfs-size", "tmpfs-mode")),
    "volume": frozenset(("volume-nocopy", "volume-label", "volume-driver", "volume-opt", "volume-subpath")),
}
_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "type": "type"}
_NAMES |= {key: key for keys in (_COMMON, *_KEYS.values()) for key in keys}


def _fitting(name: str, said: str) -> str:
    """Return an option of tmpfs (tmpfs(5)); UsageError for a value that the kernel would not take."""
    import re

    form = _VALUES.get(name)
    if (
        form is None
        or not re.fullmatch(form, said)
        or (name in ("uid", "gid") and int(said) >= (1 << 32) - 1)
    ):
        raise UsageError(f"invalid tmpfs option: {f'{name}={said}' if said else name!r}")
    return f"{name}={said}"


def _tmpfs(text: str) -> Mount:
    target, _, rest = text.partition(":")
    options = [word for word in rest.split(",") if word]
    for option in options:
        if option not in TMPFS:
            name, _, said = option.partition("=")
            _fitting(name, said)
    if "exec" not in options:
        options.append("noexec")
    return Mount("tmpfs", "", _target(target, text), tuple(options))
