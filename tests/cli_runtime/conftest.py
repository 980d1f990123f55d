"""The command `lamina` as root and as a plain user, each with a root directory of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import accounts, mounts
from tests.support.images import Layout, layer, noise

SECONDS = 60
COMMAND = Path(sys.executable).with_name("lamina")
_count = itertools.count()


@dataclass(frozen=True, slots=True)
class Lamina:
    """The command, run by one user over one root."""

    top: Path
    user: bool

    @property
    def root(self) -> Path:
        return self.top / "root"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.top),
            "LAMINA_ROOT": str(self.root),
            "XDG_RUNTIME_DIR": str(self.top / "run"),
            "TZ": "UTC",
        }

    def words(self, *words: str | Path) -> list[str]:
        """Return the command line, for the user if it is to be his."""
        argv = [str(COMMAND), *map(str, words)]
        if not self.user:
            return ["env", "-i", *(f"{name}={value}" for name, value in self.environment.items()), *argv]
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return [*accounts.as_user(), "env", *settings, *argv]

    def run(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Call the command."""
        options.setdefault("cwd", self.top)
        options.setdefault("text", True)
        options.setdefault("timeout", SECONDS)
        if "stdin" not in options and "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run(self.words(*words), capture_output=True, check=False, **options)

    def ok(self, *words: str | Path, **options: Any) -> str:
        """Call the command, which must succeed; return its stdout."""
        done = self.run(*words, **options)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def refused(self, *words: str | Path, status: int = 1, named: str = "", **options: Any) -> str:
        """Call the command, which must fail with a message and no traceback; return its stderr."""
        done = self.run(*words, **options)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.startswith("error: "), done.stderr
        assert "Traceback" not in done.stderr
        assert "bug of lamina" not in done.stderr, done.stderr
        assert named in done.stderr
        return done.stderr

    def give(self, path: Path) -> None:
        """Let the user own what a test made."""
        if self.user and os.geteuid() == 0:
            uid, gid = accounts.ids()
            for each in (path, *path.rglob("*")):
                os.chown(each, uid, gid, follow_symlinks=False)

    def contents(self) -> list[str]:
        """Return the names in the store that mean content, to see that nothing changed."""
        store = self.root / "store"
        kept = ("blobs", "devices", "layers", "metadata", "images", "references")
        return sorted(
            str(path.relative_to(store))
            for name in kept
            for path in (store / name).rglob("*")
            if not path.is_dir()
        )


@pytest.fixture(params=["root", "user"])
def lamina(request: pytest.FixtureRequest, session_top: Path) -> Iterator[Lamina]:
    """The command as either user."""
    user = request.param == "user"
    if user and (reason := accounts.ensure_user()):
        pytest.skip(reason)
    if not user and os.geteuid() != 0:
        pytest.skip("not root")
    top = session_top / f"lamina-{next(_count)}"
    (top / "run").mkdir(parents=True, mode=0o700)
    made = Lamina(top, user)
    made.give(top)
    try:
        yield made
        left = mounts.below(top)
        assert not left, f"left mounted: {left}"
    finally:
        for entry in reversed(mounts.below(top)):
            mounts.detach(entry)
        shutil.rmtree(top, ignore_errors=True)


BASE = layer({"bin/sh": noise(5000), "etc/passwd": b"root:x:0:0\n", "etc/motd": b"hello\n"})
SECOND = layer({"etc/hosts": b"127.0.0.1 localhost\n", "etc/.wh.passwd": b"", "etc/motd": b"other words\n"})


@pytest.fixture
def layout(lamina: Lamina) -> Layout:
    """An OCI layout with the images one:latest (a layer) and two:latest (two)."""
    made = Layout(lamina.top / "layout")
    made.name(made.image([BASE]), "docker.io/library/one:latest")
    made.name(made.image([BASE, SECOND]), "docker.io/library/two:latest")
    lamina.give(made.top)
    return made


@pytest.fixture
def loaded(lamina: Lamina, layout: Layout) -> Lamina:
    """The command over a store that has one:latest and two:latest."""
    lamina.ok("load", "-i", layout.top)
    return lamina
