"""podman and buildah with storage and configuration of their own, as root or as a plain user."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import accounts, guard, mounts

COMMAND_SECONDS = 60
END_SECONDS = 5.0

_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{top}/graph"
runroot = "{top}/run"
[storage.options.overlay]
mount_program = "{program}"
"""
# runc, cgroupfs, small limits and no network: what works without systemd, with cgroups of
# version 1 and without CAP_SYS_RESOURCE as well as on a common machine.
_CONTAINERS = """\
[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""


@dataclass(frozen=True)
class Engine:
    """One container storage, and who uses it."""

    top: Path
    prefix: tuple[str, ...]

    def run(self, *words: str, check: bool = True, cwd: Path | None = None) -> str:
        """Run podman or buildah; returns stdout and stderr, shows both on failure."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.top),
            "XDG_RUNTIME_DIR": str(self.top / "xdg"),
            "TMPDIR": str(self.top / "tmp"),
            "CONTAINERS_STORAGE_CONF": str(self.top / "storage.conf"),
            "CONTAINERS_CONF": str(self.top / "containers.conf"),
        }
        words = (*self.prefix, "env", *(f"{key}={value}" for key, value in environment.items()), *words)
        log = self.top / "output"
        with log.open("wb") as output:  # a pipe would be kept open by servers and conmon
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd or self.top,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        text = log.read_text(errors="replace")
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words[-8:])}: status {done.returncode}\n{text}")
        return text

    def podman(self, *words: str) -> str:
        """Run podman."""
        return self.run("podman", *words)

    def buildah(self, *words: str) -> str:
        """Run buildah."""
        return self.run("buildah", *words)

    def shell(self, image: str, script: str, *options: str) -> str:
        """Run a shell script in a new container."""
        return self.podman("run", "--network=none", *options, image, "sh", "-ec", script)

    def servers(self) -> list[str]:
        """Return the processes that name our storage; a short while is given to the last ones."""
        end = time.monotonic() + END_SECONDS
        while (found := guard.processes(self.top)) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def mounted(self) -> list[str]:
        """Return what is mounted of our storage in this namespace, but for its own bind mount."""
        return [entry.path for entry in mounts.below(self.top / "graph") if entry.path.endswith("merged")]


@contextlib.contextmanager
def engine(account: str, program: Path) -> Iterator[Engine]:
    """Open a storage for "root" or "rootless" with a mount program; all of it is removed at the end."""
    if account == "rootless":
        accounts.ensure_user()
    prefix = tuple(accounts.as_user()) if account == "rootless" else ()
    top = Path(tempfile.mkdtemp(prefix="lamina-i-", dir="/var/tmp"))
    for name in ("tmp", "xdg"):
        (top / name).mkdir(mode=0o700)
    (top / "storage.conf").write_text(_STORAGE.format(top=top, program=program))
    (top / "containers.conf").write_text(_CONTAINERS)
    if prefix:
        for path in (top, *top.iterdir()):
            os.chown(path, *accounts.ids())
    opened = Engine(top, prefix)
    try:
        yield opened
    finally:
        _end(opened)


def _end(opened: Engine) -> None:
    """Kill what still runs, unmount what is still mounted, remove everything."""
    pause = opened.top / "xdg/libpod/tmp/pause.pid"
    if pause.exists():  # rootless podman keeps its namespaces by a process that sleeps
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(pause.read_text()), signal.SIGKILL)
    for line in guard.processes(opened.top):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split(":")[0]), signal.SIGKILL)
    for entry in reversed(mounts.below(opened.top)):
        mounts.detach(entry)
    shutil.rmtree(opened.top, ignore_errors=True)
