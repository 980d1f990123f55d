"""Images for tests, made without the code under test: OCI layouts by hand, other tools around them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SECONDS = 90
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data: bytes) -> str:
    """Return the sha256 digest as images write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(files: Mapping[str, bytes]) -> bytes:
    """Return an uncompressed layer tar with `files`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(data), 1_700_000_000, 0o644
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def noise(size: int, *, seed: int = 1) -> bytes:
    """Return `size` bytes that do not compress and are the same each time."""
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(size)


class Layout:
    """An OCI layout below `top`: blobs by digest, and what the index names."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.manifests: list[dict[str, Any]] = []
        (top / "blobs/sha256").mkdir(parents=True)
        (top / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Keep a blob; return its descriptor."""
        (self.top / "blobs" / digest(data).replace(":", "/")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def image(
        self, layers: Sequence[bytes], *, architecture: str = "amd64", variant: str = "", gzipped: bool = True
    ) -> dict[str, Any]:
        """Keep an image of uncompressed layer tars; return the descriptor of its manifest."""
        platform = {"architecture": architecture, "os": "linux"} | ({"variant": variant} if variant else {})
        config = {
            **platform,
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in layers]},
            "history": [{"created_by": f"layer {number}"} for number, _ in enumerate(layers)],
        }
        blobs = [
            self.blob(gzip.compress(tar, 6, mtime=0), LAYER + "+gzip") if gzipped else self.blob(tar, LAYER)
            for tar in layers
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": blobs,
        }
        return self.blob(json.dumps(manifest).encode(), MANIFEST) | {"platform": platform}

    def index(self, manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Keep an index over `manifests`; return its descriptor."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
        return self.blob(json.dumps(index).encode(), INDEX)

    def name(self, descriptor: dict[str, Any], tag: str) -> dict[str, Any]:
        """Let `tag` name what `descriptor` describes, and write index.json."""
        named = descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}}
        self.manifests.append(named)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests}
        (self.top / "index.json").write_text(json.dumps(index))
        return named


def run(*words: str | Path, env: Mapping[str, str] | None = None, seconds: float = SECONDS) -> str:
    """Run a tool and return its stdout; fail with its stderr."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=seconds, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def skopeo_push(layout: Path, tag: str, target: str, *options: str) -> None:
    """Copy `tag` of a layout, with all its platforms, to a registry."""
    run("skopeo", "copy", "--insecure-policy", "--quiet", "--all", "--preserve-digests",
        "--dest-tls-verify=false", *options,
        f"oci:{layout}:{tag}", f"docker://{target}")  # fmt: skip
