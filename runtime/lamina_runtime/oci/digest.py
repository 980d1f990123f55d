"""Digests: what content is named by.

sha256 and sha512 are the two algorithms that the specification asks everyone to know; others are
refused, since what cannot be verified must not be stored under its name.
"""

from __future__ import annotations

from lamina_runtime.oci.errors import OciError
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Hasher(Protocol):
        """What we use of hashlib's objects."""

        def update(self, data: bytes | bytearray | memoryview, /) -> None:
            """Take more content."""

        def hexdigest(self) -> str:
            """Return the digest of what was taken."""

        def copy(self) -> Hasher:
            """Return a twin that goes its own way."""


HEX_LENGTH = {"sha256": 64, "sha512": 128}
LITTLE = 1 << 18  # bytes: hashed by the interpreter itself before OpenSSL, which hashlib takes, is loaded
_HEX = "0123456789abcdef"
_ALGORITHM = "abcdefghijklmnopqrstuvwxyz0123456789+._-"


@value
class Digest:
    """The name of some content."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `algorithm:hex`."""
        algorithm, _, encoded = text.partition(":")
        if not algorithm or not encoded or algorithm.strip(_ALGORITHM):
            raise OciError(f"{text[:200]!r} is not a digest")
        length = HEX_LENGTH.get(algorithm)
        if length is None:
            raise OciError(
                f"digest algorithm {algorithm[:80]!r} is not supported", hint="sha256 and sha512 are"
            )
        if not is_hex(algorithm, encoded):
            raise OciError(
                f"{text[:200]!r} is not a digest: {length} lower-case hexadecimal digits are wanted"
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, algorithm: str = "sha256") -> Digest:
        """Hash some content."""
        found = hasher(algorithm, little=len(data) <= LITTLE)
        found.update(data)
        return cls(algorithm, found.hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def short(self) -> str:
        """The first 12 digits, as people see them."""
        return self.hex[:12]

    def hasher(self) -> Hasher:
        """Return a fresh hash object of this algorithm."""
        return hasher(self.algorithm)


def is_hex(algorithm: str, text: str) -> bool:
    """Say whether a text is what a digest of a known algorithm has behind its colon."""
    return len(text) == HEX_LENGTH[algorithm] and not text.strip(_HEX)


def hasher(algorithm: str, *, little: bool = False) -> Hasher:
    """Return a fresh hash object; for what is `little` one that is at hand at once."""
    if little and algorithm == "sha256":
        try:
            from _sha256 import sha256  # type: ignore[import-not-found]  # nobody describes it
        except ImportError:  # another Python, which calls it otherwise
            pass
        else:
            made: Hasher = sha256()
            return made
    import hashlib

    return hashlib.new(algorithm)


def chain_id(diff_ids: tuple[Digest, ...]) -> Digest:
    """Return the identity of a stack of layers, base first."""
    if not diff_ids:
        raise OciError("no layers, no chain id")
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = Digest.of(f"{chain} {diff_id}".encode())
    return chain
