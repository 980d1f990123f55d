"""-v, --mount and --tmpfs: three spellings of what is to be mounted, to one value."""

from __future__ import annotations

import os

from lamina_runtime.container.wishes import Mount
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed

VOLUME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
PROPAGATION = frozenset("shared slave private rshared rslave rprivate unbindable runbindable".split())
TMPFS = frozenset(
    "rw ro nosuid suid nodev dev noexec exec atime noatime diratime nodiratime relatime".split()
)
# what other runtimes need to be told, and what we need not (labels, how a copy is made)
PASSED_OVER = frozenset("rw z Z nocopy cached delegated consistent consistency".split())


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
    for option in options:
        if option not in ("ro", *PROPAGATION, *PASSED_OVER):
            raise UsageError(f"invalid mode: {parts[2]}")
    kept = tuple(option for option in options if option not in PASSED_OVER)
    if source[0] in "/.~":
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
    fields: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        key = _NAMES.get(name.strip().lower())
        if key is None:
            raise UsageError(f'invalid argument "{text}" for "--mount" flag: unexpected key {name!r}')
        fields[key] = value if equals else "true"
    kind = fields.get("type", "volume")
    target, source = fields.get("target", ""), fields.get("source", "")
    if kind not in ("bind", "volume", "tmpfs"):
        raise UsageError(f'invalid argument "{text}" for "--mount" flag: unknown mount type {kind!r}')
    if not target.startswith("/"):
        raise UsageError(f'invalid argument "{text}" for "--mount" flag: target is required, and absolute')
    _target(target, text)
    options = ["ro"] if fields.get("readonly", "false") in ("true", "1") else []
    if kind == "tmpfs":
        options += [f"{name}={fields[key]}" for name, key in (("size", "tmpfs-size"), ("mode", "tmpfs-mode"))
                    if key in fields]  # fmt: skip
        return Mount(kind, "", target, tuple(options))
    if fields.get("propagation"):
        if fields["propagation"] not in PROPAGATION:
            raise UsageError(f"invalid propagation: {fields['propagation']}")
        options.append(fields["propagation"])
    if kind == "bind":
        if not source:
            raise UsageError(f'invalid argument "{text}" for "--mount" flag: source is required')
        path = os.path.abspath(source)
        if not os.path.exists(path):
            raise UsageError(f'invalid mount config for type "bind": bind source path does not exist: {path}')
        return Mount(kind, path, target, tuple(options))
    import re

    if source and not re.fullmatch(VOLUME, source):
        raise UsageError(f"invalid volume name: {source}")
    return Mount(kind, source, target, tuple(options))


_NAMES = {
    "type": "type",
    "source": "source",
    "src": "source",
    "target": "target",
    "dst": "target",
    "destination": "target",
    "readonly": "readonly",
    "ro": "readonly",
    "bind-propagation": "propagation",
    "tmpfs-size": "tmpfs-size",
    "tmpfs-mode": "tmpfs-mode",
    "volume-nocopy": "nocopy",
    "consistency": "consistency",
}


def _tmpfs(text: str) -> Mount:
    target, _, rest = text.partition(":")
    options = [word for word in rest.split(",") if word]
    for option in options:
        if option not in TMPFS and option.partition("=")[0] not in (
            "size",
            "mode",
            "uid",
            "gid",
            "nr_inodes",
        ):
            raise UsageError(f"invalid tmpfs option: {option!r}")
    if "exec" not in options:
        options.append("noexec")
    return Mount("tmpfs", "", _target(target, text), tuple(options))
