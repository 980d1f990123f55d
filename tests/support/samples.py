"""Images of real size, made once a machine and kept: each as an OCI layout and as a docker-archive.

    a     a small Debian, one layer (about 7,000 files, 165 MB)
    b     a, and 7 more layers: over 100,000 files, 1.1 GB, with whiteouts, opaque directories,
          hard links, extended attributes, owners, devices, odd names
    c     shares nine files of ten with b, but no layer
    tiny  three layers of all oddities, some 200 files; made in no time

The added files are cut out of the Debian tar, so they compress as real ones do.  All is made from
seeds: the same tar gives the same images.  `python -m tests.support.samples b` makes one and says
where it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import random
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lamina_benchmarks import cache

from tests.integration.rootfs import CACHE, debian

VERSION = 2  # of what this file makes: others are made anew
TOP = CACHE / f"samples-{VERSION}"
TIME = 1_700_000_000
PER_DIRECTORY = 40
_XATTR = "SCHILY.xattr."
_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000").decode("latin-1")
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Recipe:
    """How a sample is made: its own layers on top of a base or none."""

    layers: int
    files: int  # a layer
    debian: bool
    own: int = 0  # of ten files, how many differ from what the others have


RECIPES = {
    "tiny": Recipe(3, 60, debian=False),
    "a": Recipe(0, 0, debian=True),
    "b": Recipe(7, 13_800, debian=True),
    "c": Recipe(7, 13_800, debian=True, own=1),
}


@dataclass(frozen=True)
class Sample:
    """One image on disk."""

    name: str
    layout: Path  # OCI layout; the image is tagged `name`
    archive: Path  # docker-archive, not compressed
    image_id: str
    manifest: str  # digest in the layout
    diff_ids: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The name that the archive gives it."""
        return f"localhost/sample/{self.name}:1"

    def blobs(self) -> list[Path]:
        """Return the compressed layers, base first."""
        manifest = json.loads(self._blob(self.manifest).read_bytes())
        return [self._blob(layer["digest"]) for layer in manifest["layers"]]

    def _blob(self, digest: str) -> Path:
        return self.layout / "blobs" / digest.replace(":", "/")


def sample(name: str) -> Sample:
    """Return a sample; make it if it is not there."""
    if not (TOP / name / "sample.json").exists():
        _keep(name)
    found = json.loads((TOP / name / "sample.json").read_text())
    diff_ids = tuple(found["diff_ids"])
    return Sample(
        name, TOP / name / "oci", TOP / name / "docker.tar", found["id"], found["manifest"], diff_ids
    )


def _keep(name: str) -> None:
    cache.root()
    TOP.mkdir(exist_ok=True, mode=0o755)
    source = debian().with_suffix(".tar") if RECIPES[name].debian else None
    with (TOP / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (TOP / name / "sample.json").exists():
            part = TOP / f"{name}.part"
            for path in (part, TOP / name):
                shutil.rmtree(path, ignore_errors=True)
            _make(name, source, part)
            part.rename(TOP / name)


def _make(name: str, source: Path | None, top: Path) -> None:
    recipe = RECIPES[name]
    corpus = source.read_bytes() if source else hashlib.shake_128(b"corpus").hexdigest(1 << 20).encode()
    layout = top / "oci"
    (layout / "blobs/sha256").mkdir(parents=True)
    tars: list[Path] = []
    if source:
        tars.append(top / "0.tar")
        shutil.copyfile(source, tars[-1])
        if recipe.own:  # the same content, yet another layer
            with tarfile.open(tars[-1], "a") as tar:
                _add(tar, "etc/variant", f"{name}\n".encode())
    for number in range(1, recipe.layers + 1):
        tars.append(top / f"{number}.tar")
        with tarfile.open(tars[-1], "w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
            _layer(tar, recipe, number, corpus)
    _write(name, layout, tars, top)
    for tar_path in tars:
        tar_path.unlink()


def _write(name: str, layout: Path, tars: list[Path], top: Path) -> None:
    """Write layout and archive of finished tars."""
    layers, diff_ids = [], []
    for tar_path in tars:
        digest, size, diff_id = _compress(tar_path, layout)
        layers.append({"mediaType": _LAYER, "digest": digest, "size": size})
        diff_ids.append(diff_id)
    config = json.dumps({
        "created": "2024-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/bin:/bin"], "Labels": {"sample": name}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": f"step {number}"} for number, _ in enumerate(tars)],
    }).encode()  # fmt: skip
    described = _blob(layout, config, _CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": layers}
    entry = _blob(layout, json.dumps(manifest).encode(), _MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    found = {"id": described["digest"], "manifest": entry["digest"], "diff_ids": diff_ids}
    with tarfile.open(top / "docker.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        _docker_archive(archive, name, config, tars, diff_ids)
    (top / "sample.json").write_text(json.dumps(found))


def _docker_archive(
    archive: tarfile.TarFile, name: str, config: bytes, tars: list[Path], diff_ids: list[str]
) -> None:
    names = [f"{diff_id.removeprefix('sha256:')}.tar" for diff_id in diff_ids]
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    for tar_path, inner in zip(tars, names, strict=True):
        with tar_path.open("rb") as file:
            entry = tarfile.TarInfo(inner)
            entry.size, entry.mtime = tar_path.stat().st_size, TIME
            archive.addfile(entry, file)
    listed = [{"Config": config_name, "RepoTags": [f"localhost/sample/{name}:1"], "Layers": names}]
    _add(archive, config_name, config)
    _add(archive, "manifest.json", json.dumps(listed).encode())


def _blob(layout: Path, data: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _compress(tar_path: Path, layout: Path) -> tuple[str, int, str]:
    """Write a tar as a gzip blob; return its digest, its size, and the digest of the tar."""
    from isal import isal_zlib  # many times as fast as zlib, and this is a gigabyte

    engine = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)
    inner, outer = hashlib.sha256(), hashlib.sha256()
    part = layout / "part"
    with tar_path.open("rb") as file, part.open("wb") as out:
        for piece in _pieces(file):
            inner.update(piece)
            made = engine.compress(piece)
            outer.update(made)
            out.write(made)
        made = engine.flush()
        outer.update(made)
        out.write(made)
        size = out.tell()
    part.rename(layout / "blobs/sha256" / outer.hexdigest())
    return f"sha256:{outer.hexdigest()}", size, f"sha256:{inner.hexdigest()}"


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(1 << 20):
        yield piece


# ---- what is in a layer ----


def _layer(tar: tarfile.TarFile, recipe: Recipe, number: int, corpus: bytes) -> None:
    top = f"srv/layer{number}"
    _directory(tar, "srv")
    _directory(tar, top)
    for start in range(0, recipe.files, PER_DIRECTORY):
        directory = f"{top}/part{start // PER_DIRECTORY:03}"
        _directory(tar, directory)
        for file in range(start, min(start + PER_DIRECTORY, recipe.files)):
            _file(tar, f"{directory}/file{file:05}", _seed(recipe, number, file), corpus)
    _oddities(tar, top, number)
    if number > 1:
        _removals(tar, f"srv/layer{number - 1}", recipe.files)


def _seed(recipe: Recipe, number: int, file: int) -> str:
    mine = file % 10 < recipe.own
    return f"{'own' if mine else 'all'}:{number}:{file}"


def _file(tar: tarfile.TarFile, name: str, seed: str, corpus: bytes) -> None:
    """Add a file with a size as they are in images: most are small, few are large."""
    chance = random.Random(seed)
    low, high = chance.choices(
        ((0, 400), (400, 4_000), (4_000, 16_000), (16_000, 50_000), (50_000, 300_000)), (8, 50, 30, 11, 1)
    )[0]
    size = chance.randrange(low, high)
    start = chance.randrange(len(corpus) - size)
    entry = tarfile.TarInfo(name)
    entry.mode = chance.choice((0o644, 0o644, 0o644, 0o755, 0o600))
    entry.uid = entry.gid = chance.choice((0, 0, 0, 0, 33, 1000))
    entry.mtime = TIME + chance.randrange(1 << 20)
    entry.size = size
    tar.addfile(entry, io.BytesIO(memoryview(corpus)[start : start + size]))


def _oddities(tar: tarfile.TarFile, top: str, number: int) -> None:
    odd = f"{top}/odd"
    _directory(tar, odd, mode=0o1777)
    _add(tar, f"{odd}/first", b"linked\n" * 99, uid=1000, gid=100)
    for name in ("second", "third"):
        _special(tar, f"{odd}/{name}", tarfile.LNKTYPE, link=f"{odd}/first")
    _special(tar, f"{odd}/absolute", tarfile.SYMTYPE, link="/etc/passwd")
    _special(tar, f"{odd}/relative", tarfile.SYMTYPE, link="../../layer1/odd/first")
    _special(tar, f"{odd}/dangling", tarfile.SYMTYPE, link="x" * 300)
    _special(tar, f"{odd}/fifo", tarfile.FIFOTYPE, mode=0o620)
    _special(tar, f"{odd}/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    _special(tar, f"{odd}/loop", tarfile.BLKTYPE, mode=0o660, device=(7, 200 + number))
    _add(tar, f"{odd}/empty", b"")
    _add(tar, f"{odd}/setuid", b"#!/bin/sh\n", mode=0o4755)
    _add(tar, f"{odd}/setgid", b"#!/bin/sh\n", mode=0o2755, gid=50)
    _add(tar, f"{odd}/far-owner", b"", uid=3_000_000, gid=65_534)
    _add(tar, f"{odd}/attributes", b"x", pax={f"{_XATTR}user.note": "a note", f"{_XATTR}user.empty": ""})
    _add(tar, f"{odd}/capable", b"x", mode=0o755, pax={f"{_XATTR}security.capability": _CAPABILITY})
    _add(tar, f"{odd}/precise", b"x", pax={"mtime": "1700000000.123456789"})
    _add(tar, f"{odd}/old", b"x", pax={"mtime": "-86400.5"})
    _add(tar, f"{odd}/" + "n" * 255, b"long name")
    deep = odd + "".join(f"/{character * 60}" for character in "abcdef")
    _add(tar, f"{deep}/deep", b"long path")  # its directories are not in the tar
    _add(tar, f"{odd}/ünïcode ☃", b"x")
    _add(tar, f"{odd}/latin-\udce9-\udcff", b"not UTF-8")
    _add(tar, f"{odd}/new\nline", b"x")
    _add(tar, f"{odd}/zeros", bytes(300_000) + b"end" + bytes(200_000))
    _directory(tar, f"{top}/opaque")
    _directory(tar, f"{top}/opaque/inner")
    for name in ("one", "inner/two"):
        _add(tar, f"{top}/opaque/{name}", f"{number}".encode())
    _directory(tar, f"{top}/replaced")
    _add(tar, f"{top}/replaced/file", b"below")
    _add(tar, "etc/marker", f"layer {number}\n".encode())


def _removals(tar: tarfile.TarFile, below: str, files: int) -> None:
    """Hide some of what the layer below brought."""
    gone = range(7, files // PER_DIRECTORY, 50)
    for file in range(0, files, 97):
        if file // PER_DIRECTORY in gone:
            continue  # podman does not take a directory that is whited out as well as partly described
        _add(tar, f"{below}/part{file // PER_DIRECTORY:03}/.wh.file{file:05}", b"")
    for directory in gone:
        _add(tar, f"{below}/.wh.part{directory:03}", b"")
    _directory(tar, f"{below}/opaque", mode=0o700)
    _add(tar, f"{below}/opaque/new", b"beside the mark")
    _add(tar, f"{below}/opaque/.wh..wh..opq", b"")
    _special(tar, f"{below}/replaced", tarfile.SYMTYPE, link="odd")  # a directory becomes a link
    _add(tar, f"{below}/odd/first", b"no longer linked")


def _directory(tar: tarfile.TarFile, name: str, *, mode: int = 0o755) -> None:
    _special(tar, name, tarfile.DIRTYPE, mode=mode)


def _special(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes,
    *,
    mode: int = 0o644,
    link: str = "",
    device: tuple[int, int] = (0, 0),
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.mtime = kind, mode, link, TIME
    entry.devmajor, entry.devminor = device
    tar.addfile(entry)


def _add(
    tar: tarfile.TarFile,
    name: str,
    data: bytes,
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    pax: dict[str, str] | None = None,
) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime, entry.uid, entry.gid = len(data), mode, TIME, uid, gid
    entry.pax_headers = pax or {}
    tar.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        made = sample(wanted)
        print(made.layout.parent, made.image_id)
