"""registries.conf: mirrors, insecure and blocked registries, rewritten prefixes, short names.

Theory. The format is version 2 of containers-registries.conf(5), so that what an administrator wrote for
podman holds here too; our own `registries.toml` has the same format and the last word. Later files replace
single tables (`[[registry]]` by prefix, `[aliases]` by name) and lists of earlier ones. Loading is bounded:
files are small, few, and regular.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci.reference import is_host

OWN_FILE = "registries.toml"
MAX_SIZE = 1 << 20
MAX_DROP_INS = 256
SYSTEM = Path("/etc/containers")


class ConfigurationError(LaminaError):
    """A configuration file cannot be used."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A place that has the same images."""

    location: str
    insecure: bool = False
    pull: str = "all"  # or "digest-only", "tag-only"


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for all images whose name starts with `prefix`."""

    prefix: str
    location: str = ""
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def covers(self, name: str) -> bool:
        """Say whether the rule is for `name` (registry/repository[:tag][@digest])."""
        if self.prefix.startswith("*."):
            return name.partition("/")[0].partition(":")[0].endswith(self.prefix[1:])
        return name.startswith(self.prefix) and name[len(self.prefix) :][:1] in {"", "/", ":", "@"}

    def rewrite(self, name: str, location: str) -> str:
        """Return `name` with the rule's prefix replaced by `location`."""
        if not location:
            return name
        matched = name.partition("/")[0] if self.prefix.startswith("*.") else self.prefix
        return location + name[len(matched) :]


@dataclass(frozen=True, slots=True)
class Configuration:
    """All files together."""

    rules: tuple[Rule, ...] = ()
    search: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def rule(self, name: str) -> Rule | None:
        """Return the rule with the longest prefix that covers `name`."""
        found = [rule for rule in self.rules if rule.covers(name)]
        return max(found, key=lambda rule: len(rule.prefix), default=None)

    def candidates(self, text: str) -> tuple[str, ...]:
        """Return the names that `text`, as typed, may mean, in the order to try them.

        A name that starts with a registry means itself; a short one is an alias, or is looked for in the
        search registries, or is at Docker Hub.
        """
        first, slash, _ = text.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return (text,)
        name, rest = _split(text)
        if name in self.aliases:
            return (self.aliases[name] + rest,)
        return tuple(f"{registry}/{text}" for registry in self.search) or (text,)


def _split(text: str) -> tuple[str, str]:
    """Part a name from its tag and digest."""
    ends = [position for position in (text.find("@"), text.rfind(":", text.rfind("/") + 1)) if position >= 0]
    end = min(ends, default=len(text))
    return text[:end], text[end:]


def files(environment: Mapping[str, str], *, own: Path, uid: int) -> list[Path]:
    """Return the files that count, in the order in which they replace each other."""
    home = Path(environment.get("HOME", "/"))
    xdg = environment.get("XDG_CONFIG_HOME", "")
    user = (Path(xdg) if os.path.isabs(xdg) else home / ".config") / "containers"
    chosen = environment.get("CONTAINERS_REGISTRIES_CONF")
    if chosen:
        main = [Path(chosen)]
    elif uid != 0 and (user / "registries.conf").exists():
        main = [user / "registries.conf"]
    else:
        main = [SYSTEM / "registries.conf"]
    drop_ins = []
    for directory in [SYSTEM / "registries.conf.d"] + ([user / "registries.conf.d"] if uid != 0 else []):
        if not chosen and directory.is_dir():
            names = sorted(name for name in os.listdir(directory) if name.endswith(".conf"))
            drop_ins += [directory / name for name in names[:MAX_DROP_INS]]
    return [*main, *drop_ins, own / OWN_FILE]


def load(paths: list[Path]) -> Configuration:
    """Read and join the files; those that do not exist count as empty."""
    rules: dict[str, Rule] = {}
    search: tuple[str, ...] = ()
    aliases: dict[str, str] = {}
    for path in paths:
        document = _document(path)
        if "registries" in document:
            raise ConfigurationError(f"{path}: version 1 of registries.conf is not supported")
        for table in _tables(path, document, "registry"):
            rule = _rule(path, table)
            rules[rule.prefix] = rule
        if "unqualified-search-registries" in document:
            search = _strings(path, document, "unqualified-search-registries")
        found = document.get("aliases", {})
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise ConfigurationError(f"{path}: [aliases] must be a table of strings")
        aliases |= found
    kept = {name: value for name, value in aliases.items() if value}  # an empty one takes an alias back
    return Configuration(tuple(rules.values()), search, kept)


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise ConfigurationError(f"{path}: {exc.strerror}") from exc
    if len(data) > MAX_SIZE:
        raise ConfigurationError(f"{path}: larger than {MAX_SIZE} bytes")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{path}: not TOML", details=str(exc)) from exc


def _rule(path: Path, table: dict[str, Any]) -> Rule:
    location = _location(path, table, "location")
    prefix = _location(path, table, "prefix") or location
    if not prefix:
        raise ConfigurationError(f"{path}: a [[registry]] has neither prefix nor location")
    if not location and not prefix.startswith("*."):
        raise ConfigurationError(f"{path}: the registry with prefix {prefix} has no location")
    digests_only = _flag(path, table, "mirror-by-digest-only")
    mirrors = []
    for entry in _tables(path, table, "mirror"):
        pull = entry.get("pull-from-mirror", "digest-only" if digests_only else "all")
        if pull not in {"all", "digest-only", "tag-only"}:
            raise ConfigurationError(f"{path}: pull-from-mirror = {pull!r}")
        mirror = _location(path, entry, "location")
        if not mirror:
            raise ConfigurationError(f"{path}: a mirror of {prefix} has no location")
        mirrors.append(Mirror(mirror, _flag(path, entry, "insecure"), pull))
    insecure, blocked = _flag(path, table, "insecure"), _flag(path, table, "blocked")
    return Rule(prefix, location, insecure, blocked, tuple(mirrors))


def _location(path: Path, table: dict[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or "://" in value:
        raise ConfigurationError(f"{path}: {key} must be a name like registry.example/path, not {value!r}")
    value = value.rstrip("/")
    first = value.partition("/")[0].removeprefix("*." if key == "prefix" else "")
    if value and not is_host(first):
        raise ConfigurationError(f"{path}: {key} = {value[:200]!r}: {first[:200]!r} is not a host")
    return value


def _flag(path: Path, table: dict[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{path}: {key} must be true or false")
    return value


def _tables(path: Path, document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = document.get(key, [])
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ConfigurationError(f"{path}: [[{key}]] must be tables")
    return value


def _strings(path: Path, document: dict[str, Any], key: str) -> tuple[str, ...]:
    value = document.get(key, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ConfigurationError(f"{path}: {key} must be a list of strings")
    return tuple(value)
