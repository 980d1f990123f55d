"""`--change`: Dockerfile instructions that edit an image's configuration.

CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR, in docker's
syntax.  Each is a function from the configuration and the rest of its line to the changed
configuration; nothing here looks at the image's files.
"""

from __future__ import annotations

import json
import posixpath
import signal

from lamina_runtime.engine import moments, words
from lamina_runtime.errors import UsageError
from lamina_runtime.oci.container import ContainerConfig, Healthcheck
from lamina_runtime.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_PORTS = 1 << 16
NANOSECONDS = 1_000_000_000
SHELL = ("/bin/sh", "-c")


def apply(config: ContainerConfig, changes: Iterable[str]) -> ContainerConfig:
    """Return the configuration after all changes; raise UsageError for one that makes no sense."""
    for change in changes:
        name, _, rest = change.strip().partition(" ")
        instruction = INSTRUCTIONS.get(name.upper())
        if instruction is None:
            raise UsageError(f"--change: {name!r} is not one of {', '.join(sorted(INSTRUCTIONS))}")
        if not rest.strip():
            raise UsageError(f"--change: {name.upper()} needs a value")
        if "\0" in rest:
            raise UsageError(f"--change: a NUL in {name.upper()}")
        config = instruction(config, rest.strip())
    return config


def _variables(config: ContainerConfig) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in config.env)}


def _list(text: str) -> tuple[str, ...] | None:
    """Read the JSON form; None if this is not one, which means the shell form."""
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tuple(value) if isinstance(value, list) and all(isinstance(word, str) for word in value) else None


def _command(config: ContainerConfig, text: str) -> tuple[str, ...]:
    listed = _list(text)
    return (*(config.shell or SHELL), text) if listed is None else listed


def _pairs(config: ContainerConfig, text: str, what: str) -> list[tuple[str, str]]:
    """Read `key=value ...`, or the old `key value`."""
    found = words.split(text)
    variables = _variables(config)
    if "=" not in found[0]:
        name, _, value = text.partition(" ")
        if not value.strip():
            raise UsageError(f"--change: {what} must have two arguments")
        return [(name, words.plain(value.strip(), variables))]
    pairs = []
    for word in found:
        name, equals, value = word.partition("=")
        name = words.plain(name, variables)
        if not equals or not name:
            raise UsageError(f"--change: {what}: {word!r} is not of the form name=value")
        pairs.append((name, words.plain(value, variables)))
    return pairs


def _cmd(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, cmd=_command(config, text))


def _entrypoint(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, entrypoint=_command(config, text))


def _env(config: ContainerConfig, text: str) -> ContainerConfig:
    env = {entry.partition("=")[0]: entry for entry in config.env}
    for name, value in _pairs(config, text, "ENV"):
        env[name] = f"{name}={value}"
    return replace(config, env=tuple(env.values()))


def _label(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, labels={**config.labels, **dict(_pairs(config, text, "LABEL"))})


def _expose(config: ContainerConfig, text: str) -> ContainerConfig:
    ports = dict.fromkeys(config.exposed_ports)
    for word in words.split(text):
        ports |= dict.fromkeys(_ports(words.plain(word, _variables(config))))
    return replace(config, exposed_ports=tuple(sorted(ports)))


def _ports(text: str) -> list[str]:
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    protocol = protocol.lower() or "tcp"
    if protocol not in ("tcp", "udp", "sctp") or not all(
        part.isascii() and part.isdigit() and len(part) <= 5 and int(part) < MOST_PORTS
        for part in (first, last or first)
    ):
        raise UsageError(f"--change: EXPOSE: {text!r} is not a port")
    if int(last or first) < int(first):
        raise UsageError(f"--change: EXPOSE: {text!r} is an empty range")
    return [f"{port}/{protocol}" for port in range(int(first), int(last or first) + 1)]


def _user(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, user=words.plain(_one(text, "USER"), _variables(config)))


def _volume(config: ContainerConfig, text: str) -> ContainerConfig:
    paths = _list(text)
    if paths is None:
        paths = tuple(words.plain(word, _variables(config)) for word in words.split(text))
    if not all(path.strip() for path in paths):
        raise UsageError("--change: VOLUME: a path may not be empty")
    return replace(config, volumes=tuple(sorted({*config.volumes, *paths})))


def _workdir(config: ContainerConfig, text: str) -> ContainerConfig:
    path = words.plain(text, _variables(config))
    return replace(config, working_dir=posixpath.normpath(posixpath.join("/", config.working_dir, path)))


def _on_build(config: ContainerConfig, text: str) -> ContainerConfig:
    trigger = text.partition(" ")[0].upper()
    if trigger in ("ONBUILD", "FROM", "MAINTAINER"):
        raise UsageError(f"--change: {trigger} isn't allowed as an ONBUILD trigger")
    return replace(config, on_build=(*config.on_build, text))


def _stop_signal(config: ContainerConfig, text: str) -> ContainerConfig:
    name = words.plain(_one(text, "STOPSIGNAL"), _variables(config))
    known = {member.name for member in signal.Signals}
    short = name.upper().removeprefix("SIG")
    real_time = short.startswith(("RTMIN+", "RTMAX-")) and short[6:].isdigit()
    if not ((name.isdigit() and 1 <= int(name[:4]) <= 64) or f"SIG{short}" in known or real_time):
        raise UsageError(f"--change: STOPSIGNAL: invalid signal: {name}")
    return replace(config, stop_signal=name)


def _one(text: str, what: str) -> str:
    if len(words.split(text)) != 1:
        raise UsageError(f"--change: {what} requires exactly one argument")
    return text


def _healthcheck(config: ContainerConfig, text: str) -> ContainerConfig:
    flags: dict[str, int] = {}
    while text.startswith("--"):
        word, _, text = text.partition(" ")
        name, _, value = word[2:].partition("=")
        key = name.replace("-", "_")
        if key == "retries" and value.isascii() and value.isdigit() and 0 < len(value) < 6:
            flags[key] = int(value)
        elif key in ("interval", "timeout", "start_period", "start_interval"):
            seconds = moments.from_duration(value)
            if seconds is None or not (seconds == 0 or 0.001 <= seconds < 1e9):
                raise UsageError(f"--change: HEALTHCHECK: {value!r} is not a duration of at least 1ms")
            flags[key] = round(seconds * NANOSECONDS)
        else:
            raise UsageError(f"--change: HEALTHCHECK: unknown flag or bad value: {word}")
        text = text.strip()
    kind, _, rest = text.partition(" ")
    if kind.upper() == "NONE" and not rest.strip() and not flags:
        return replace(config, healthcheck=Healthcheck(test=("NONE",)))
    if kind.upper() != "CMD" or not rest.strip():
        raise UsageError("--change: HEALTHCHECK: CMD with a command, or NONE, is wanted")
    listed = _list(rest.strip())
    test = ("CMD", *listed) if listed is not None else ("CMD-SHELL", rest.strip())
    return replace(config, healthcheck=Healthcheck(test=test, **flags))


INSTRUCTIONS: dict[str, Callable[[ContainerConfig, str], ContainerConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
