"""Image configurations: a frozen view over the bytes that were received, and edits of it.

Theory.  The image id is the digest of these bytes.  An edit takes the parsed object, replaces the
fields it is about and serialises the result; whatever else was there, known to us or not, stays.
"""

from __future__ import annotations

from lamina_runtime.oci import json
from lamina_runtime.oci.container import ContainerConfig, History
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.manifest import MAX_LAYERS
from lamina_runtime.oci.media import OCI_CONFIG
from lamina_runtime.oci.platform import Platform
from lamina_runtime.value import MappingProxyType, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

MAX_HISTORY = 4 * MAX_LAYERS


@value
class ImageConfig:
    """What an image is made of, and how it is run."""

    raw: bytes
    id: Digest
    os: str
    architecture: str
    variant: str
    os_version: str
    created: str
    author: str
    diff_ids: tuple[Digest, ...]
    history: tuple[History, ...]
    config: ContainerConfig
    _fields: Mapping[str, Any]

    @classmethod
    def parse(cls, raw: bytes, *, algorithm: str = "sha256") -> ImageConfig:
        """Read a configuration."""
        found = json.load_object(raw, "image configuration")
        rootfs = found.inner("rootfs")
        if rootfs is None:
            raise OciError("image configuration: no rootfs")
        if rootfs.text("type", "layers") != "layers":
            raise OciError(f"image configuration: rootfs of type {rootfs.text('type')[:80]!r}, not layers")
        diff_ids = rootfs.texts("diff_ids")
        if len(diff_ids) > MAX_LAYERS:
            raise OciError(
                f"image configuration: {len(diff_ids)} layers, more than the limit of {MAX_LAYERS}"
            )
        inner = found.inner("config") or json.Object({}, "config")
        return cls(
            raw,
            Digest.of(raw, algorithm),
            found.text("os", "linux") or "linux",
            found.text("architecture"),
            found.text("variant"),
            found.text("os.version"),
            found.text("created"),
            found.text("author"),
            tuple(Digest.parse(text) for text in diff_ids),
            tuple(History.from_json(entry) for entry in found.objects("history", limit=MAX_HISTORY)),
            ContainerConfig.from_json(inner),
            MappingProxyType(dict(found.fields)),
        )

    @classmethod
    def new(cls, platform: Platform, *, created: str = "", author: str = "") -> ImageConfig:
        """Return the configuration of an image without layers."""
        value: dict[str, Any] = {"created": created} if created else {}
        value |= {"author": author} if author else {}
        value |= {"architecture": platform.architecture, "os": platform.os}
        value |= {"variant": platform.variant} if platform.variant else {}
        value |= {"config": {}, "rootfs": {"type": "layers", "diff_ids": []}, "history": []}
        return cls.parse(json.dump(value))

    @property
    def platform(self) -> Platform:
        """What it runs on."""
        return Platform(self.os, self.architecture, self.variant, self.os_version)

    @property
    def fields(self) -> Mapping[str, Any]:
        """Everything the document says, known to us or not."""
        return self._fields

    def descriptor(self, media_type: str = OCI_CONFIG) -> Descriptor:
        """Return what a manifest points at this by."""
        return Descriptor(media_type, self.id, len(self.raw))

    def edit(
        self,
        *,
        config: ContainerConfig | None = None,
        diff_ids: Iterable[Digest] | None = None,
        history: Iterable[History] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> ImageConfig:
        """Return a changed configuration.

        `fields` are top-level ones such as created and author by their names in JSON; None as a
        value removes one.
        """
        value = dict(self._fields)
        for name, new in (fields or {}).items():
            if new is None:
                value.pop(name, None)
            else:
                value[name] = new
        if config is not None:
            value["config"] = config.merge_into(value.get("config") or {})
        if diff_ids is not None:
            value["rootfs"] = {**value["rootfs"], "diff_ids": [str(diff_id) for diff_id in diff_ids]}
        if history is not None:
            value["history"] = [entry.to_json() for entry in history]
        return ImageConfig.parse(json.dump(value), algorithm=self.id.algorithm)

    def with_step(self, entry: History, diff_id: Digest | None = None) -> ImageConfig:
        """Return the configuration after one more step, with or without a layer."""
        if entry.empty_layer != (diff_id is None):
            raise OciError("a history entry is empty exactly if it brings no layer")
        layers = self.diff_ids if diff_id is None else (*self.diff_ids, diff_id)
        return self.edit(diff_ids=layers, history=(*self.history, entry))
