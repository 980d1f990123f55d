"""Descriptors: what another document says of some content."""

from __future__ import annotations

from lamina_runtime.oci import json
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import MismatchError, OciError
from lamina_runtime.oci.platform import Platform
from lamina_runtime.value import MappingProxyType, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NOTHING: Mapping[str, str] = MappingProxyType({})
MAX_MEDIA_TYPE = 255  # RFC 6838: two names of 127 characters


def nothing() -> Mapping[str, str]:
    """Return the empty mapping, as the default of a field."""
    return NOTHING


@value
class Descriptor:
    """Media type, digest and size of some content, and what else is known of it."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = NOTHING
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    data: bytes | None = None  # the content itself, verified, where it was embedded
    artifact_type: str = ""

    def __hash__(self) -> int:
        return hash((self.media_type, self.digest, self.size))

    @classmethod
    def from_json(cls, value: object, what: str = "descriptor") -> Descriptor:
        """Read a parsed object; embedded content must match."""
        found = value if isinstance(value, json.Object) else json.Object(value, what)
        platform = found.inner("platform")
        digest = Digest.parse(found.need_text("digest"))
        if "size" not in found.fields:
            raise OciError(f"{found.what}: no size")
        size = found.integer("size")
        media_type = found.text("mediaType")
        if len(media_type) > MAX_MEDIA_TYPE:
            raise OciError(f"{found.what}: a media type of {len(media_type)} characters")
        return cls(
            media_type,
            digest,
            size,
            MappingProxyType(found.text_map("annotations")),
            Platform.from_json(platform) if platform else None,
            found.texts("urls"),
            _embedded(found, digest, size),
            found.text("artifactType"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise, fields in the specification's order."""
        found: dict[str, Any] = {"mediaType": self.media_type} if self.media_type else {}
        found |= {"digest": str(self.digest), "size": self.size}
        if self.urls:
            found["urls"] = list(self.urls)
        if self.annotations:
            found["annotations"] = dict(sorted(self.annotations.items()))
        if self.data is not None:
            import base64

            found["data"] = base64.b64encode(self.data).decode()
        if self.platform:
            found["platform"] = self.platform.to_json()
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        return found

    def verify(self, data: bytes, source: str) -> bytes:
        """Return the content if size and digest are right; raises MismatchError."""
        if len(data) != self.size:
            raise MismatchError(source, expected=f"{self.size} bytes", actual=f"{len(data)} bytes")
        actual = Digest.of(data, self.digest.algorithm)
        if actual != self.digest:
            raise MismatchError(source, expected=self.digest, actual=actual)
        return data


def _embedded(found: json.Object, digest: Digest, size: int) -> bytes | None:
    text = found.text("data")
    if not text:
        return None
    import base64

    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise OciError(f"{found.what}: data is not base64") from None
    if len(data) != size or Digest.of(data, digest.algorithm) != digest:
        raise MismatchError(f"{found.what}: data", expected=digest, actual=f"{len(data)} other bytes")
    return data
