"""A store, a registry and images, for tests that move images between them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.platform import Platform
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.pull import Pulled, pull
from lamina_runtime.registry.push import Pushed, push
from lamina_runtime.store.store import Store

from tests.registry.harness import options, run
from tests.support.images import Layout, layer, noise
from tests.support.images import run as tool

AMD64 = Platform.parse("linux/amd64")


@dataclass
class Log:
    """Keeps what a pull or push says."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)

    def start(self, key: str, total: int, text: str) -> None:
        """Note a beginning."""
        self.totals[key] = total
        self.lines.append((key, text))

    def advance(self, key: str, count: int) -> None:
        """Add up."""
        self.sums[key] = self.sums.get(key, 0) + count

    def done(self, key: str, text: str) -> None:
        """Note an end."""
        self.lines.append((key, text))

    def texts(self) -> list[str]:
        """Return what was said, sorted."""
        return sorted(text for _, text in self.lines)


def take(store: Store, name: str, home: Path, *, log: Log | None = None, **changes: Any) -> Pulled:
    """Pull a name for amd64."""
    platform = changes.pop("platform", AMD64)
    reference = Reference.parse(name)
    return run(
        lambda: pull(store, reference, platform=platform, options=options(home, **changes), progress=log)
    )


def give(
    store: Store, name: str, home: Path, *, log: Log | None = None, compression: str | None = "gzip",
    **changes: Any,
) -> Pushed:  # fmt: skip
    """Push a name."""
    reference, settings = Reference.parse(name), options(home, **changes)
    return run(lambda: push(store, reference, options=settings, progress=log, compression=compression))


def name_as(store: Store, pulled: Pulled, name: str, *, with_index: bool = True) -> None:
    """Give a pulled image another name."""
    named = store.references.get(pulled.reference)
    assert named
    index = named.index if with_index else None
    store.references.set(Reference.parse(name), named.image_id, named.manifest, index)


def raw(name: str, *options: str) -> bytes:
    """Return the manifest or index that skopeo sees under a name."""
    return tool("skopeo", "inspect", "--raw", "--tls-verify=false", *options, f"docker://{name}").encode()


def check_layers(store: Store, pulled: Pulled, tars: list[bytes]) -> None:
    """Compare the layers of an image in the store with the tars it was made of."""
    assert [str(diff_id) for diff_id in pulled.image.diff_ids] == [str(Digest.of(tar)) for tar in tars]
    for diff_id, tar in zip(pulled.image.diff_ids, tars, strict=True):
        with store.layers.open(diff_id) as stream:
            assert stream.read() == tar


def empty(store: Store) -> bool:
    """Say whether a store has no images and no names."""
    return not store.images.list() and not store.references.list()


TARS = [layer({"etc/a": b"a"}), layer({"big": noise(5_000_000)}), layer({"etc/b": b"b" * 1000})]


def make_layout(top: Path) -> Layout:
    """Make a layout with `one` (a manifest) and `many` (an index of two platforms)."""
    layout = Layout(top)
    image = layout.image(TARS)
    other = layout.image([layer({"arm": b"arm"})], architecture="arm64", variant="v8")
    layout.name(image, "one")
    layout.name(layout.index([other, image]), "many")
    plain = layout.image(TARS, gzipped=False)
    layout.name(plain, "plain")
    return layout


def parsed(data: bytes) -> Any:
    """Return JSON."""
    return json.loads(data)
