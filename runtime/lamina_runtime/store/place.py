"""Where things are in a store.  docs/on-disk.md, "Image store", has the whole of it.

Theory.  Nothing here is a name that people gave: digests and hashes of names only, in lower-case
hexadecimal, so that any file system will do and no image can choose a path.
"""

from __future__ import annotations

from lamina_runtime.fspath import Path
from lamina_runtime.oci.digest import HEX_LENGTH, Digest
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina_runtime.oci.reference import Reference

METADATA = 2  # goes up when the same layers give other metadata; what was made before is garbage then
FOLDERS = ("blobs", "devices", "layers", "metadata", "images", "references", "leases", "temporary")


def tag(diff_id: Digest) -> str:
    """Return what a layer is called where 64 characters are the limit, as in EROFS's device table."""
    return diff_id.hex if diff_id.algorithm == "sha256" else Digest.of(str(diff_id).encode()).hex


def stack_name(diff_ids: Sequence[Digest]) -> str:
    """Return what the metadata of a stack of layers, base first, is called."""
    words = [f"metadata {METADATA}", *map(str, diff_ids)]
    return Digest.of("".join(f"{word}\n" for word in words).encode()).hex


@value
class Place:
    """The paths below one root."""

    root: Path

    @property
    def format(self) -> Path:
        """The file that says what this is."""
        return self.root / "store.json"

    @property
    def lock(self) -> Path:
        """The file that is locked while the store changes."""
        return self.root / "lock"

    @property
    def records(self) -> Path:
        """The file that is locked while it changes which images and names there are."""
        return self.root / "records.lock"

    @property
    def temporary(self) -> Path:
        """What is being made; anything here that nobody has locked is left from a crash."""
        return self.root / "temporary"

    @property
    def leases(self) -> Path:
        """One file for each lease."""
        return self.root / "leases"

    @property
    def devices(self) -> Path:
        """The layers' tars, by tag: what EROFS's device table names."""
        return self.root / "devices"

    def blob(self, digest: Digest) -> Path:
        """Return where some content is, as it was received."""
        return self.root / "blobs" / digest.algorithm / digest.hex

    def device(self, diff_id: Digest) -> Path:
        """Return where a layer's tar is."""
        return self.devices / tag(diff_id)

    def layer(self, diff_id: Digest) -> Path:
        """Return the directory of what is known of a layer."""
        return self.root / "layers" / tag(diff_id)

    def metadata(self, diff_ids: Sequence[Digest]) -> Path:
        """Return where the EROFS image is of a stack of layers."""
        return self.root / "metadata" / stack_name(diff_ids)

    def image(self, image_id: Digest) -> Path:
        """Return where the record of an image is."""
        return self.root / "images" / image_id.algorithm / image_id.hex

    def reference(self, reference: Reference) -> Path:
        """Return where the record of a name is."""
        return self.root / "references" / Digest.of(str(reference).encode()).hex

    def directories(self) -> list[Path]:
        """Every directory that a store has from the beginning."""
        inner = [Path(top) / algorithm for top in ("blobs", "images") for algorithm in HEX_LENGTH]
        return [self.root / name for name in (*map(Path, FOLDERS), *inner)]
