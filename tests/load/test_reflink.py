"""Where upper and lower can share blocks a copy-up shares them, and waits for no disk."""

import json
import os
from pathlib import Path

import pytest
from lamina_benchmarks import bed, columns, mounting, server

SIZE = 8 << 20
WAITS = {"fsync", "fdatasync", "syncfs"}


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.requires("driver")
@pytest.mark.parametrize("size", [5000, SIZE])
def test_a_copy_up_shares_blocks(size: int) -> None:
    content = os.urandom(size)
    calls: dict[str, int] = {}
    target = columns.table(rootless=False)["lamina"]
    with bed.opened() as made:
        disk, lower, top = _places(made)
        (lower / "f").write_bytes(content)
        os.sync()
        used = bed.Bed.used(disk)
        with mounting.mounted(target, mounting.command(target, [lower], top), top / "m", []) as union:
            assert union.pid is not None
            with server.counted(union.pid, calls), (union.at / "f").open("r+b", buffering=0) as file:
                file.write(content[:1])
            pooled = json.loads(os.getxattr(union.at, "user.lamina.stats"))["server"]["pooled"]
            assert (union.at / "f").read_bytes() == content
        os.sync()
        assert (top / "u" / "f").read_bytes() == content
        assert bed.Bed.used(disk) - used < SIZE // 2
    # FS_IOC_FSGETXATTR: few extents; FICLONE, by whoever took the request
    assert calls.get("ioctl") == 2, calls
    assert pooled == 0, "another thread was woken"
    assert not WAITS & calls.keys(), calls


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.requires("driver")
def test_what_must_be_written_first_waits_elsewhere() -> None:
    """Sharing blocks that memory has changed writes them out: no work for the thread that answers."""
    target = columns.table(rootless=False)["lamina"]
    with bed.opened() as made:
        _, lower, top = _places(made)
        (lower / "f").write_bytes(bytes(SIZE))
        os.sync()
        content = os.urandom(SIZE)
        with mounting.mounted(target, mounting.command(target, [lower], top), top / "m", []) as union:
            with (lower / "f").open("r+b") as file:  # nobody has looked it up yet
                file.write(content)
            with (union.at / "f").open("r+b", buffering=0) as file:
                file.write(content[:1])
            assert json.loads(os.getxattr(union.at, "user.lamina.stats"))["server"]["pooled"] == 1
            assert (union.at / "f").read_bytes() == content


def _places(made: bed.Bed) -> tuple[Path, Path, Path]:
    """Return an XFS, and on it a lower and the directory of upper, work and mount point."""
    try:
        disk = made.image("xfs")
    except bed.UnavailableError as reason:
        pytest.skip(str(reason))
    for name in ("u", "w", "m"):
        _folder(disk / "top" / name)
    return disk, _folder(disk / "lower"), disk / "top"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path
