"""The installed command as root, as a plain user, and as one who has a single id; a small image."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import accounts, workspace

SECONDS = 40
IMAGE = "box"
BIN = Path(sys.executable).parent

PASSWD = "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n"
GROUP = "root:x:0:\nuser:x:1000:\nstaff:x:50:user\n"


@dataclass
class Host:
    """Somebody who runs lamina, with a store of his own."""

    top: Path
    before: list[str] = field(default_factory=list)
    subordinate: bool = True
    path: str = "/nowhere"  # of one who has no newuidmap, as is everything else there then

    def command(self, *words: str) -> list[str]:
        """Return the command line."""
        path = "/usr/sbin:/usr/bin:/sbin:/bin" if self.subordinate else self.path
        settings = [f"LAMINA_ROOT={self.top}/root", f"XDG_RUNTIME_DIR={self.top}/run", f"PATH={path}"]
        return [*self.before, "/usr/bin/env", *settings, str(BIN / "lamina"), *words]

    def run(
        self, *words: str, stdin: str = "", seconds: float = SECONDS, passed: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is; it has the descriptors that are passed."""
        return subprocess.run(
            self.command(*words), input=stdin, capture_output=True, text=True, timeout=seconds, check=False,
            pass_fds=passed,
        )  # fmt: skip

    def __call__(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed; return what it printed."""
        ended = self.run(*words, stdin=stdin)
        assert ended.returncode == 0, f"{words}: {ended.returncode}: {ended.stderr}"
        return ended.stdout

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*words), stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def state(self, name: str) -> str:
        """Return a container's status and exit code."""
        return self("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).strip()

    def processes(self) -> list[int]:
        """Return the monitors and drivers of this store."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            except OSError:
                continue
            if f"{self.top}/".encode() in words and b"start.py" in words:
                found.append(int(entry.name))
        return found


def wait_for(condition: object, seconds: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def small_image(path: Path) -> None:
    """Write a tar with busybox and two users."""
    applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "etc", "tmp", "home", "root"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name in ("tmp", "home") else 0o755
            archive.addfile(member)
        program = Path("/bin/busybox").read_bytes()
        for name, mode, data in (
            ("bin/busybox", 0o755, program),
            ("etc/passwd", 0o644, PASSWD.encode()),
            ("etc/group", 0o644, GROUP.encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
        for name in applets.split():
            if name != "busybox":
                member = tarfile.TarInfo(f"bin/{name}")
                member.type, member.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(member)


def make_host(kind: str) -> Host:
    """Make a store for somebody, with the image in it."""
    top = workspace.make()
    top.chmod(0o755)
    host = Host(top)
    (top / "run").mkdir(mode=0o700)
    if kind != "root":
        accounts.ensure_user()
        host.before, host.subordinate = accounts.as_user(), kind == "user"
        for path in (top, top / "run"):
            os.chown(path, *accounts.ids())
    small_image(top / "box.tar")
    host("import", "-c", 'CMD ["sh"]', str(top / "box.tar"), IMAGE)
    return host


@pytest.fixture(scope="module", params=["root", "user", "single"])
def shared(request: pytest.FixtureRequest) -> Iterator[Host]:
    host = make_host(request.param)
    yield host
    shutil.rmtree(host.top, ignore_errors=True)


@pytest.fixture
def host(shared: Host) -> Iterator[Host]:
    """Somebody's lamina; no container, process or mount of the test stays."""
    yield shared
    left = shared("ps", "-aq").split()
    if left:
        shared("rm", "-f", *left)
    wait_for(lambda: not shared.processes())
    assert str(shared.top) not in Path("/proc/self/mountinfo").read_text()
    assert not list((shared.top / "root/containers").iterdir())
    assert not list((shared.top / "root/names").iterdir())
