"""Digests: what content is named by.

sha256 and sha512 are the two algorithms that the specification asks everyone to know; others are
refused, since what cannot be verified must not be stored under its name.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from lamina_runtime.oci.errors import OciError

HEX_LENGTH = {"sha256": 64, "sha512": 128}
_FORM = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_LOWER_HEX = re.compile(r"[0-9a-f]*")


class Hasher(Protocol):
    """What we use of hashlib's objects."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more content."""

    def hexdigest(self) -> str:
        """Return the digest of what was taken."""

    def copy(self) -> "Hasher":
        """Return a twin that goes its own way."""


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The name of some content."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read `algorithm:hex`."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise OciError(f"{text[:200]!r} is not a digest")
        algorithm, encoded = match.groups()
        length = HEX_LENGTH.get(algorithm)
        if length is None:
            raise OciError(
                f"digest algorithm {algorithm[:80]!r} is not supported", hint="sha256 and sha512 are"
            )
        if len(encoded) != length or not _LOWER_HEX.fullmatch(encoded):
            raise OciError(
                f"{text[:200]!r} is not a digest: {length} lower-case hexadecimal digits are wanted"
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, algorithm: str = "sha256") -> "Digest":
        """Hash some content."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def short(self) -> str:
        """The first 12 digits, as people see them."""
        return self.hex[:12]

    def hasher(self) -> Hasher:
        """Return a fresh hash object of this algorithm."""
        return hasher(self.algorithm)


def hasher(algorithm: str) -> Hasher:
    """Return a fresh hash object."""
    return hashlib.new(algorithm)


def chain_id(diff_ids: tuple[Digest, ...]) -> Digest:
    """Return the identity of a stack of layers, base first."""
    if not diff_ids:
        raise OciError("no layers, no chain id")
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = Digest.of(f"{chain} {diff_id}".encode())
    return chain
