"""Platforms: what an image runs on, and which one of an index is ours.

Theory.  A variant is a level: what is built for a lower one runs on a higher one, not the other
way round.  A missing variant means the architecture's first (arm64 v8, amd64 v1, …; arm: v7, as
everyone has it).  Of those that run here the highest level is best; among equals the first in the
index wins, as the specification says.
"""

from __future__ import annotations

from lamina_runtime.oci import json
from lamina_runtime.oci.errors import OciError
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ATTESTATION = "vnd.docker.reference.type"

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv5l": ("arm", "v5"),
    "armv5tel": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
    "mips64el": ("mips64le", ""),
    "mipsel": ("mipsle", ""),
}
_BASE = {"amd64": "v1", "arm64": "v8", "arm": "v7", "ppc64le": "power8", "riscv64": "rva20u64"}
_LEVEL = r"([a-z]*)([0-9]{1,3})(?:\.([0-9]{1,3}))?([a-z0-9]*)"
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@value
class Platform:
    """An operating system on an architecture."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read `os/architecture[/variant]` or a lone architecture, under any of their usual names."""
        words = text.split("/")
        import re  # a listing does without

        if not all(re.fullmatch(_WORD, word) for word in words) or len(words) > 3:
            raise OciError(f"{text[:200]!r} is not a platform", hint="write it as linux/arm64/v8")
        os, machine = ("linux", words[0]) if len(words) == 1 else (words[0], words[1])
        architecture, variant = _ARCHITECTURES.get(machine.lower(), (machine.lower(), ""))
        return cls(os.lower(), architecture, words[2].lower() if len(words) == 3 else variant)

    @classmethod
    def from_json(cls, value: object) -> Platform:
        """Read the platform of a descriptor."""
        found = value if isinstance(value, json.Object) else json.Object(value, "platform")
        return cls(
            found.text("os"),
            found.text("architecture"),
            found.text("variant"),
            found.text("os.version"),
            found.texts("os.features"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise."""
        found: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            found["os.version"] = self.os_version
        if self.os_features:
            found["os.features"] = list(self.os_features)
        if self.variant:
            found["variant"] = self.variant
        return found

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @property
    def is_unknown(self) -> bool:
        """Whether this marks something that is no image, such as an attestation."""
        return self.os == "unknown" or self.architecture == "unknown"

    def rank(self, offered: Platform) -> tuple[int, ...] | None:
        """Say how good `offered` is where this platform is wanted; higher is better, None is no use."""
        if (offered.os, offered.architecture) != (self.os, self.architecture):
            return None
        if self.os_version and offered.os_version != self.os_version:
            return None
        if not set(offered.os_features) <= set(self.os_features):
            return None
        base = _BASE.get(self.architecture, "")
        have, want = offered.variant or base, self.variant or base
        if have == want:
            return (1,)
        levels = _level(have), _level(want)
        if levels[0] is None or levels[1] is None or levels[0][::2] != levels[1][::2]:
            return None
        return (0, *levels[0][1]) if levels[0][1] < levels[1][1] else None


def host(sysname: str, machine: str) -> Platform:
    """Return the platform of a machine, from the words of uname(2)."""
    return Platform.parse(f"{sysname.lower()}/{machine}")


def _level(variant: str) -> tuple[str, tuple[int, int], str] | None:
    import re

    match = re.fullmatch(_LEVEL, variant)
    if match is None:
        return None
    prefix, major, minor, suffix = match.groups()
    return prefix, (int(major), int(minor or 0)), suffix
