"""Which parts of a layer lie in other layers as well.

Theory.  Files with the same content mostly come in rows: the same package in another layer, header
after header, file after file.  So equal files are found by size and hash, and rows of them that
lie at the same distance from each other become one run, headers included, if the bytes between
them are equal too.  Every run is compared byte by byte before it is believed: XXH3 says where to
look, it proves nothing.  A run that frees no block of the disk is dropped.

Sparse files are left out: the builder may have to read parts of them from the tar itself.
"""

import mmap
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import xxhash
from lamina_native import image

from lamina_runtime.store.moves import BLOCK, Move

LEAST = 2 * BLOCK
MOST_PLACES = 8  # of one content that are remembered
_COMPARE = 1 << 20


@dataclass(slots=True)
class Content:
    """The data of one file in a tar; `key` is empty where it cannot be shared."""

    offset: int
    size: int
    key: bytes = b""

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.offset + self.size


@dataclass(slots=True)
class Scanned:
    """A layer while it is looked at."""

    tag: str
    contents: list[Content]
    moved: list[Move] = field(default_factory=list)  # before or by this run; sorted


def scan(tag: str, index: Path, moved: Sequence[Move]) -> Scanned:
    """Read where a layer's files have their data."""
    found = [
        Content(entry.data_offset, entry.size, b"?" if entry.extents is None else b"")
        for entry in image.entries(index.read_bytes())
        if entry.kind == image.FILE and entry.size
    ]
    found.sort(key=lambda content: content.offset)
    return Scanned(tag, found, list(moved))


def hash_candidates(layers: Sequence[Scanned], devices: Path) -> None:
    """Give contents that may be in two layers their keys, all others none."""
    sizes = Counter(size for layer in layers for size in {content.size for content in layer.contents})
    for layer in layers:
        wanted = [content for content in layer.contents if content.key and sizes[content.size] > 1]
        for content in layer.contents:
            content.key = b""
        if not wanted:
            continue
        with (
            (devices / layer.tag).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as tar,
        ):
            for content in _present(wanted, layer.moved):
                content.key = xxhash.xxh3_128_digest(tar[content.offset : content.end])


def _present(contents: Sequence[Content], moved: Sequence[Move]) -> Iterator[Content]:
    """Yield those whose data is in the layer's own tar; both are sorted by offset."""
    at = 0
    for content in contents:
        while at < len(moved) and moved[at].offset + moved[at].size <= content.offset:
            at += 1
        if at == len(moved) or moved[at].offset >= content.end:
            yield content


class Places:
    """Where contents are, of the layers that were looked at so far."""

    def __init__(self) -> None:
        self._places: defaultdict[tuple[int, bytes], list[tuple[str, int]]] = defaultdict(list)

    def add(self, layer: Scanned) -> None:
        """Remember what of a layer stays in its own tar."""
        for content in _present([each for each in layer.contents if each.key], layer.moved):
            places = self._places[content.size, content.key]
            if len(places) < MOST_PLACES:
                places.append((layer.tag, content.offset))

    def of(self, content: Content) -> list[tuple[str, int]]:
        """Return where else a content is."""
        return self._places.get((content.size, content.key), []) if content.key else []


def runs(layer: Scanned, places: Places, devices: Path) -> list[Move]:
    """Return what of a layer can be moved."""
    with _Tars(devices) as tars:
        found = list(_runs(layer, places, tars))
        return [run for run in found if run.size >= LEAST and tars.equal(layer.tag, run)]


def _runs(layer: Scanned, places: Places, tars: "_Tars") -> Iterator[Move]:
    run: Move | None = None
    for content in layer.contents:
        where = places.of(content)
        if run is not None:
            longer = Move(run.offset, content.end - run.offset, run.source_offset, run.source)
            place = (run.source, run.source_offset + content.offset - run.offset)
            if place in where and tars.equal_gap(layer.tag, run, content.offset):
                run = longer
                continue
            yield run
        run = Move(content.offset, content.size, where[0][1], where[0][0]) if where else None
    if run is not None:
        yield run


class _Tars:
    """The tars that are compared, mapped."""

    def __init__(self, devices: Path) -> None:
        self._devices = devices
        self._maps: dict[str, mmap.mmap] = {}

    def __enter__(self) -> "_Tars":
        return self

    def __exit__(self, *_exc: object) -> None:
        for mapped in self._maps.values():
            mapped.close()

    def _map(self, tag: str) -> mmap.mmap:
        if tag not in self._maps:
            with (self._devices / tag).open("rb") as file:
                self._maps[tag] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._maps[tag]

    def _same(self, tag: str, run: Move, start: int, end: int) -> bool:
        own, other, distance = self._map(tag), self._map(run.source), run.source_offset - run.offset
        if end + distance > len(other):
            return False
        for at in range(start, end, _COMPARE):
            last = min(end, at + _COMPARE)
            if own[at:last] != other[at + distance : last + distance]:
                return False
        return True

    def equal_gap(self, tag: str, run: Move, end: int) -> bool:
        """Say whether what lies between a run and `end` is the same in both tars."""
        return self._same(tag, run, run.offset + run.size, end)

    def equal(self, tag: str, run: Move) -> bool:
        """Say whether all of a run is the same in both tars."""
        return self._same(tag, run, run.offset, run.offset + run.size)
