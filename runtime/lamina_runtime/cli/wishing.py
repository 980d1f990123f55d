"""From run's flags to `Wishes`: every value checked for form, in docker's words where it has them."""

from __future__ import annotations

import os
import stat

from lamina_runtime.cli import health_flags, limit_flags, network_flags, security_flags
from lamina_runtime.cli.mount_flags import mounts
from lamina_runtime.container import capabilities, processes
from lamina_runtime.container.wishes import Limit, Wishes
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed

UNLIMITED = (1 << 64) - 1
LIMITS = frozenset(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending "
    "stack".split()
)
LONGEST_FILE = 1 << 20
MOST_DEVICES = 512
_NO_DEVICES = frozenset(("pts", "shm", "mqueue"))  # below /dev: file systems of their own, as docker has it


def wishes(parsed: Parsed) -> Wishes:
    """Return what the flags and arguments of `run IMAGE [COMMAND...]` ask for."""
    security = security_flags.wished(parsed.several("security_opt"))
    return Wishes(
        command=tuple(parsed.arguments[1:]),
        entrypoint=_entrypoint(parsed),
        env=tuple(environment(parsed)),
        user=parsed.text("user"),
        working_dir=_absolute(parsed.text("workdir")),
        **network_flags.wishes(parsed),
        domainname=parsed.text("domainname"),
        terminal=parsed.switch("tty"),
        interactive=parsed.switch("interactive"),
        read_only=parsed.switch("read_only"),
        init=parsed.switch("init"),
        privileged=parsed.switch("privileged"),
        cap_add=tuple(capabilities.normal(name) for name in parsed.several("cap_add")),
        cap_drop=tuple(capabilities.normal(name) for name in parsed.several("cap_drop")),
        no_new_privileges=security.no_new_privileges,
        root_emulation=_emulation(parsed.text("root_emulation")),
        seccomp=security.seccomp,
        mask=security.mask,
        unmask=security.unmask,
        mounts=mounts(parsed),
        devices=tuple(one for text in parsed.several("device") for one in _devices(text)),
        limits=tuple(_limit(text) for text in parsed.several("ulimit")),
        sysctls=dict(_sysctl(text) for text in parsed.several("sysctl")),
        labels=_labels(parsed),
        oom_score=_oom_score(parsed),
        shm_size=limit_flags.size("shm-size", parsed.text("shm_size")) or 64 << 20,
        share=_shared(parsed),
        stop_signal=_signal(parsed.text("stop_signal")),
        stop_timeout=parsed.number("stop_timeout") if "stop_timeout" in parsed.given else None,
        resources=limit_flags.wished(parsed),
        health=health_flags.wished(parsed),
        runtime="" if parsed.text("runtime") == "lamina" else parsed.text("runtime"),
        auto_remove=parsed.switch("rm"),
        restart=restart(parsed, remove=parsed.switch("rm")),
    )


def _emulation(word: str) -> str:
    if word not in ("play", "record"):
        raise UsageError(f"--root-emulation: 'play' or 'record' expected, not {word!r}")
    return word


def environment(parsed: Parsed) -> list[str]:
    """Return NAME=value words of --env-file and --env; a name alone takes our own value."""
    words: list[str] = []
    for path in parsed.several("env_file"):
        words += [line for line in lines(path, "env-file") if line]
    found = []
    for word in (*words, *parsed.several("env")):
        name, equals, _ = word.partition("=")
        if not name or "\0" in word:
            raise UsageError(f"invalid environment variable: {word}")
        if equals:
            found.append(word)
        elif name in os.environ:
            found.append(f"{name}={os.environ[name]}")
    return found


def lines(path: str, flag: str) -> list[str]:
    """Return the lines of a file of settings, without comments and empty ones."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(LONGEST_FILE + 1)
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"--{flag}: {path}: {getattr(failure, 'strerror', None) or failure}") from None
    if len(text) > LONGEST_FILE:
        raise UsageError(f"--{flag}: {path} is too long")
    rows = [line.lstrip() for line in text.splitlines()]
    return [row for row in rows if row and not row.startswith("#")]


def _entrypoint(parsed: Parsed) -> tuple[str, ...] | None:
    if "entrypoint" not in parsed.given:
        return None
    return (parsed.text("entrypoint"),) if parsed.text("entrypoint") else ()


def _absolute(path: str) -> str:
    if path and not path.startswith("/"):
        raise UsageError(f"the working directory '{path}' is invalid, it needs to be an absolute path")
    return path


def _devices(text: str) -> list[tuple[str, str]]:
    """Return (host's path, container's path) of a device, or of all devices below a directory."""
    host, _, rest = text.partition(":")
    inside, _, access = rest.partition(":")
    if inside and not inside.startswith("/"):
        inside, access = "", inside
    if not host.startswith("/") or not set(access) <= set("rwm"):
        raise UsageError(f"invalid device specification: {text}")
    if access and not {"r", "w"} <= set(access):
        raise UsageError(f"device {host}: access {access!r} cannot be enforced here, only rw and rwm can")
    inside = inside or host
    mode = _mode(host)
    if _is_device(mode):
        return [(host, inside)]
    if not stat.S_ISDIR(mode):
        raise UsageError(f"error gathering device information: {host}: not a device node")
    below = []
    for place, inner, names in os.walk(host):
        inner[:] = sorted({*inner} - _NO_DEVICES)
        paths = [f"{place}/{name}" for name in sorted(names)]
        below += [path for path in paths if _is_device(os.lstat(path).st_mode)]
        if len(below) > MOST_DEVICES:
            raise UsageError(f"error gathering device information: {host}: more than {MOST_DEVICES} devices")
    if not below:
        raise UsageError(f"error gathering device information: {host}: no device nodes below")
    return [(path, os.path.normpath(f"{inside}/{os.path.relpath(path, host)}")) for path in below]


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError) as failure:
        why = (getattr(failure, "strerror", None) or str(failure)).lower()
        raise UsageError(f"error gathering device information: {path}: {why}") from None


def _is_device(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _limit(text: str) -> Limit:
    name, equals, values = text.partition("=")
    soft, colon, hard = values.partition(":")
    numbers = [UNLIMITED if part in ("-1", "unlimited") else int(part) if _digits(part) else -1
               for part in (soft, hard if colon else soft)]  # fmt: skip
    if name not in LIMITS:
        raise UsageError(f"invalid ulimit type: {name}")
    if not equals or -1 in numbers:
        raise UsageError(f"invalid ulimit argument: {text}")
    if numbers[0] > numbers[1]:
        raise UsageError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Limit(name, *numbers)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _sysctl(text: str) -> tuple[str, str]:
    import re

    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+", name):
        raise UsageError(f"sysctl '{text}' is not valid: NAME=value expected")
    return name.replace("/", "."), value


def _labels(parsed: Parsed) -> dict[str, str]:
    words = [line for path in parsed.several("label_file") for line in lines(path, "label-file")]
    pairs = (word.partition("=") for word in (*words, *parsed.several("label")))
    return {name: value for name, _, value in pairs if name}


def _oom_score(parsed: Parsed) -> int | None:
    if "oom_score_adj" not in parsed.given:
        return None
    value = parsed.number("oom_score_adj")
    if not -1000 <= value <= 1000:
        raise UsageError(f"invalid value {value}, range for oom score adj is [-1000, 1000]")
    return value


def _shared(parsed: Parsed) -> tuple[str, ...]:
    shared = []
    for kind in ("pid", "ipc", "uts"):
        value = parsed.text(kind)
        if value not in ("", "host", "private", *(("shareable", "none") if kind == "ipc" else ())):
            raise UsageError(f"--{kind}: invalid {kind.upper()} mode: {value}")
        if value == "host":
            shared.append(kind)
    if parsed.several("network")[-1:] == ["host"]:
        shared.append("network")
    return tuple(shared)


def _signal(text: str) -> str:
    if text:
        processes.number(text)
    return text


def restart(parsed: Parsed, *, remove: bool = False) -> str:
    """Return the policy of --restart; "" for none."""
    policy = parsed.text("restart")
    kind, colon, limit = policy.partition(":")
    if kind not in ("", "no", "always", "unless-stopped", "on-failure"):
        raise UsageError(f"invalid restart policy: unknown policy '{kind}'; use one of "
                         "'no', 'always', 'on-failure', or 'unless-stopped'")  # fmt: skip
    if colon and (kind != "on-failure" or not _digits(limit)):
        raise UsageError(f"invalid restart policy: {policy}")
    if remove and kind not in ("", "no"):
        raise UsageError("conflicting options: cannot specify both --restart and --rm")
    return "" if kind == "no" else policy
