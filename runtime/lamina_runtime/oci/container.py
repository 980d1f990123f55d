"""The part of an image's configuration that says how to run it, and the history of its layers."""

from __future__ import annotations

from lamina_runtime.oci import json
from lamina_runtime.oci.descriptor import NOTHING
from lamina_runtime.oci.errors import OciError
from lamina_runtime.value import MappingProxyType, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@value
class Healthcheck:
    """How to ask a container for its health; times in nanoseconds, 0 for the default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0

    @classmethod
    def from_json(cls, found: json.Object) -> Healthcheck:
        """Read the object."""
        numbers = [found.integer(name) for name in _HEALTH.values()]
        return cls(found.texts("Test"), *numbers)

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise."""
        value: dict[str, Any] = {"Test": list(self.test)} if self.test else {}
        return value | {name: number for key, name in _HEALTH.items() if (number := getattr(self, key))}


_HEALTH = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
    "retries": "Retries",
}


@value
class ContainerConfig:
    """How to run an image.  `entrypoint` and `cmd` are None where the image does not say."""

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: Mapping[str, str] = NOTHING
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, found: json.Object) -> ContainerConfig:
        """Read the object."""
        healthcheck = found.inner("Healthcheck")
        made = cls(
            user=found.text("User"),
            exposed_ports=found.keys_of("ExposedPorts"),
            env=found.texts("Env"),
            entrypoint=_command(found, "Entrypoint"),
            cmd=_command(found, "Cmd"),
            volumes=found.keys_of("Volumes"),
            working_dir=found.text("WorkingDir"),
            labels=MappingProxyType(found.text_map("Labels")),
            stop_signal=found.text("StopSignal"),
            stop_timeout=found.integer("StopTimeout")
            if found.fields.get("StopTimeout") is not None
            else None,
            healthcheck=Healthcheck.from_json(healthcheck) if healthcheck else None,
            shell=found.texts("Shell"),
            on_build=found.texts("OnBuild"),
        )
        words = (
            *made.env,
            *(made.entrypoint or ()),
            *(made.cmd or ()),
            *made.shell,
            made.user,
            made.working_dir,
        )
        if any("\0" in word for word in (*words, *made.volumes)):
            raise OciError("image configuration: a NUL in a command, a variable or a path")
        return made

    def merge_into(self, old: Mapping[str, Any]) -> dict[str, Any]:
        """Return `old` with our fields as they are here and all others as they were."""
        ours: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "Env": list(self.env),
            "Entrypoint": None if self.entrypoint is None else list(self.entrypoint),
            "Cmd": None if self.cmd is None else list(self.cmd),
            "Volumes": {volume: {} for volume in self.volumes},
            "WorkingDir": self.working_dir,
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": self.stop_signal,
            "StopTimeout": self.stop_timeout,
            "Healthcheck": self.healthcheck.to_json() if self.healthcheck else None,
            "Shell": list(self.shell),
            "OnBuild": list(self.on_build),
        }
        before = ContainerConfig.from_json(json.Object(dict(old), "config"))
        value = dict(old)
        for name, new in ours.items():
            if getattr(self, _NAMES[name]) == getattr(before, _NAMES[name]):
                continue  # also keeps null, "" and the order of keys as they were
            if new or (name in ("Entrypoint", "Cmd", "StopTimeout") and new is not None):
                value[name] = new
            else:
                value.pop(name, None)
        return value


_NAMES = {
    "User": "user",
    "ExposedPorts": "exposed_ports",
    "Env": "env",
    "Entrypoint": "entrypoint",
    "Cmd": "cmd",
    "Volumes": "volumes",
    "WorkingDir": "working_dir",
    "Labels": "labels",
    "StopSignal": "stop_signal",
    "StopTimeout": "stop_timeout",
    "Healthcheck": "healthcheck",
    "Shell": "shell",
    "OnBuild": "on_build",
}


def _command(found: json.Object, key: str) -> tuple[str, ...] | None:
    value = found.fields.get(key)
    if value is None:
        return None
    if isinstance(value, str):  # as docker wrote it before 1.8
        return (found.text(key),)
    return found.texts(key)


@value
class History:
    """How one step of an image came to be."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False
    _fields: Mapping[str, Any] = NOTHING

    @classmethod
    def from_json(cls, found: json.Object) -> History:
        """Read one entry."""
        return cls(
            found.text("created"),
            found.text("created_by"),
            found.text("author"),
            found.text("comment"),
            found.flag("empty_layer"),
            MappingProxyType(dict(found.fields)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise; what was read and not replaced comes out as it was."""
        value = dict(self._fields)
        for name in ("created", "created_by", "author", "comment", "empty_layer"):
            if new := getattr(self, name):
                value[name] = new
            elif value.get(name):
                del value[name]
        return value
