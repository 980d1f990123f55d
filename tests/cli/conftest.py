"""A stack of directories, the command, and the promise that nothing stays mounted."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import capabilities, mounts

SECONDS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Layers a and b, an upper, a workdir, a mount point; and the command to call."""

    top: Path
    command: str

    @property
    def merged(self) -> Path:
        return self.top / "merged"

    @property
    def stack(self) -> str:
        return f"lowerdir={self.top}/a:{self.top}/b,upperdir={self.top}/upper,workdir={self.top}/work"

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Call the command; its streams must be closed when it returns, or this waits for ever."""
        return subprocess.run(
            [self.command, *arguments], capture_output=True, text=True, timeout=SECONDS, cwd=cwd, check=False
        )

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.merged)], timeout=SECONDS, check=True)
        self.wait_gone()

    def wait_gone(self) -> None:
        """Wait until neither mount nor server is left."""
        end = time.monotonic() + SECONDS
        while self.is_mounted() or self.servers():
            assert time.monotonic() < end, "mount or server left behind"
            time.sleep(0.01)

    def is_mounted(self) -> bool:
        return mounts.at(self.merged) is not None

    def servers(self) -> list[int]:
        """Return the processes that serve this mount point."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if (
                        any(b"lamina_unionfs" in word for word in words)
                        and str(self.merged).encode() in words
                    ):
                        found.append(int(entry.name))
        return found


def assert_one_line(result: subprocess.CompletedProcess[str], *named: str, status: int = 1) -> None:
    """The command failed with one line that names what is wrong."""
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("lamina-unionfs: ")
    for word in named:
        assert word in result.stderr


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    driver = capabilities.driver()
    assert driver is not None, "lamina-unionfs is not installed: make setup"
    for name in ("a", "b", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "one").write_text("from a\n")
    (tmp_path / "b" / "one").write_text("from b\n")
    (tmp_path / "b" / "two").write_text("from b\n")
    made = Place(tmp_path, str(driver))
    try:
        yield made
        assert not made.is_mounted(), "the test left a mount"
        assert not made.servers(), "the test left a server"
    finally:
        entry = mounts.at(made.merged)
        if entry is not None:
            mounts.abort(entry)
            mounts.detach(entry)
