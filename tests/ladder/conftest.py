"""The installed command on a host that lacks something, with a store and a small image of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.containers_cli.conftest import IMAGE, small_image
from tests.support import guard, hosts

BIN = Path(sys.executable).parent
SECONDS = 60


@dataclass
class Place:
    """A kind of host with a store on it."""

    host: hosts.Host
    top: Path

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run lamina to its end, whatever that is."""
        settings = [f"LAMINA_ROOT={self.top}/root", f"XDG_RUNTIME_DIR={self.top}/run"]
        environment = ["/usr/bin/env", *settings, f"PATH={os.defpath}:/usr/sbin:/sbin"]
        return subprocess.run(
            self.host.wrap([*environment, str(BIN / "lamina"), *words]),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def __call__(self, *words: str, stdin: str = "") -> str:
        """Run what must succeed; return what it printed."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"{words}: {done.returncode}: {done.stderr}"
        return done.stdout

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script on the host, without lamina."""
        words = self.host.wrap(["sh", "-c", script])
        return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, session_top: Path) -> Iterator[Place]:
    """One kind of host for all tests of a module that name it."""
    below = None if request.param == "no-union" else session_top  # that kind sees no mounts below /tmp
    with hosts.host(request.param) as host:
        top = Path(tempfile.mkdtemp(prefix="lamina-test-", dir=below))
        top.chmod(0o755)
        (top / "run").mkdir(mode=0o700)
        small_image(top / "box.tar")
        hosts.own(host, top, top / "run")
        made = Place(host, top)
        made("import", "-c", 'CMD ["sh"]', str(top / "box.tar"), IMAGE)
        yield made
        left = made("ps", "-aq").split()
        if left:
            made("rm", "-f", *left)
        assert guard.processes(top) == []
    shutil.rmtree(top, ignore_errors=True)
