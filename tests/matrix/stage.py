"""A store with an image on a kind of host, and a registry beside it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.containers_cli import conftest as plain
from tests.support import hosts
from tests.support.registries import docker_registry

IMAGE = "box"
USER, PASSWORD = "ann", "secret"


@dataclass(frozen=True)
class Stage:
    """One kind of host, for all commands in turn; no container stays between two of them."""

    kind: str
    host: plain.Host
    registry: str  # host and port, without login
    guarded: str  # one that wants USER and PASSWORD
    where: hosts.Host

    @property
    def top(self) -> Path:
        """The directory that whoever runs the commands owns."""
        return self.host.top

    def __call__(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed and say nothing on stderr but warnings; return what it printed."""
        done = self.host.run(*words, stdin=stdin)
        assert done.returncode == 0, f"{words}: {done.returncode}: {done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def up(self, name: str, script: str = "exec sleep 100", *flags: str) -> str:
        """Start a container that stays; return its name."""
        self("run", "-d", "--name", name, *flags, IMAGE, "sh", "-c", script)
        return name

    def directory(self, name: str) -> Path:
        """Return a directory of whoever runs the commands."""
        path = self.top / name
        path.mkdir(exist_ok=True)
        hosts.own(self.where, path)
        return path

    def clear(self) -> None:
        """Remove all containers, and all images but one."""
        left = self("ps", "-aq").split()
        if left:
            self("rm", "-f", *left)
        names = self("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        others = [name for name in names if name != f"{IMAGE}:latest"]
        if others:
            self("rmi", *others)


@contextlib.contextmanager
def stage(kind: str) -> Iterator[Stage]:
    """Make the host, a store on it with the image, and two registries."""
    top = Path(tempfile.mkdtemp(prefix="lamina-test-"))
    top.chmod(0o755)
    try:
        (top / "run").mkdir(mode=0o700)
        with (
            docker_registry(top / "open") as registry,
            docker_registry(top / "guarded", users={USER: PASSWORD}) as guarded,
            hosts.host(kind) as where,
        ):
            hosts.own(where, top, top / "run")
            host = plain.Host(top, before=list(where.words))
            made = Stage(kind, host, registry.host, guarded.host, where)
            plain.small_image(top / "box.tar")
            made("import", "-c", 'CMD ["sh"]', str(top / "box.tar"), IMAGE)
            yield made
            made.clear()
    finally:
        shutil.rmtree(top, ignore_errors=True)
