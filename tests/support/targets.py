"""What a case runs on: a native directory, kernel overlayfs, ours, fuse-overlayfs.

A server is a child process in the foreground, so that its end, its exit status and its last
words are known.  A mount counts as undone when its entry is gone from mountinfo and its
server has ended with status 0; anything else is a SupportError, after a forced clean-up.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import capabilities, mounts
from tests.support.errors import SupportError
from tests.support.realms import KINDS, Realm
from tests.support.tree import Layers

START_SECONDS = 15.0
END_SECONDS = 10.0
COPY_SECONDS = 2.0  # a server outlives its mount only by copies of it


@dataclass(frozen=True, slots=True)
class Target:
    """One column of the conformance table."""

    name: str
    kind: str  # "native", "overlay", "lamina", "fuse-overlayfs"
    realm: str
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def requires(self) -> tuple[str, ...]:
        """The capabilities of the machine without which there is no such target."""
        return (*KINDS[self.realm].requires, *self.needs)


_KERNEL = ("redirect_dir=on", "metacopy=on", "index=on", "xino=auto")
TARGETS = {
    target.name: target
    for target in (
        Target("native", "native", "root"),
        Target("native-user", "native", "user"),
        Target("native-userns", "native", "userns"),
        Target("kernel-overlay", "overlay", "root", _KERNEL, ("overlayfs",)),
        Target("kernel-userns", "overlay", "userns", ("userxattr",), ("overlayfs_userns",)),
        Target("lamina-native", "lamina", "root", (), ("fuse",)),
        Target("lamina-passthrough", "lamina", "root", ("passthrough=upper",), ("fuse",)),
        Target("lamina-passthrough-on", "lamina", "root", ("passthrough=on",), ("fuse",)),
        Target("lamina-io-uring", "lamina", "root", ("io_uring",), ("fuse", "fuse_uring")),
        Target(
            "lamina-io-uring-forward", "lamina", "root", ("io_uring", "forward=all"), ("fuse", "fuse_uring")
        ),
        Target("lamina-forward", "lamina", "root", ("forward=all",), ("fuse",)),
        Target("lamina-pyfuse3", "lamina", "root", ("engine=pyfuse3",), ("fuse",)),
        Target("lamina-userns", "lamina", "userns", (), ("fuse",)),
        Target("lamina-userns-one", "lamina", "userns-one", (), ("fuse",)),
        Target("lamina-fusermount", "lamina", "user", (), ("fuse", "fusermount")),
        Target("fuse-overlayfs", "fuse-overlayfs", "root", (), ("fuse", "fuse_overlayfs")),
        Target("fuse-overlayfs-userns", "fuse-overlayfs", "userns", (), ("fuse", "fuse_overlayfs")),
        Target("fuse-overlayfs-user", "fuse-overlayfs", "user", (), ("fuse", "fuse_overlayfs", "fusermount")),
    )
}


@dataclass(frozen=True, slots=True)
class Mounted:
    """A union that is mounted."""

    path: Path
    realm: Realm
    layers: Layers
    server: subprocess.Popen[bytes] | None
    log: Path


def layer_options(layers: Layers) -> str:
    """Return lowerdir=, upperdir= and workdir= as mount options."""
    words = ["lowerdir=" + ":".join(map(str, layers.lowers))] if layers.lowers else []
    if layers.uppers:
        words.append("upperdir=" + ":".join(map(str, layers.uppers)))
        words.append("workdir=" + ":".join(map(str, layers.works)))
    return ",".join(words)


def server_argv(target: Target, layers: Layers, at: Path, options: Sequence[str] = ()) -> list[str]:
    """Return the command line of a FUSE target's server, in the foreground."""
    if target.kind == "lamina":
        command = capabilities.driver()
        if command is None:
            raise SupportError(f"{capabilities.DRIVER} is not installed: make setup")
    else:
        command = Path("fuse-overlayfs")
    words = ",".join([layer_options(layers), *target.options, *options])
    return [str(command), "-f", "-o", words, str(at)]


@contextlib.contextmanager
def mounted(
    target: Target,
    layers: Layers,
    at: Path,
    realm: Realm,
    *,
    options: Sequence[str] = (),
    cwd: Path | None = None,
) -> Iterator[Mounted]:
    """Mount the union at an existing directory of the realm.

    A native target mounts nothing: its content is whatever lies at 'at'.
    """
    log = realm.top / f"{at.name}.log"
    if target.kind == "native":
        yield Mounted(at, realm, layers, None, log)
        return
    realm.live.append(at)
    server = None
    try:
        if target.kind == "overlay":
            _mount_overlay(target, layers, at, realm, [*target.options, *options], cwd)
        else:
            with _uring(target, log):
                server = _start(server_argv(target, layers, at, options), at, realm, log, cwd)
        yield Mounted(at, realm, layers, server, log)
    finally:
        try:
            unmount(at, realm, server, log)
        finally:
            realm.live.remove(at)


@contextlib.contextmanager
def _uring(target: Target, log: Path) -> Iterator[None]:
    """Let a target have io_uring that asks for it, and hold it to that: no falling back."""
    if "io_uring" not in target.options:
        yield
        return
    with capabilities.fuse_uring_enabled():
        yield
    if "io_uring:" in _tail(log):
        raise SupportError(f"{target.name}: {_tail(log)}")


def _mount_overlay(
    target: Target, layers: Layers, at: Path, realm: Realm, options: Sequence[str], cwd: Path | None
) -> None:
    words = ",".join([layer_options(layers), *options])
    done = realm.run(["mount", "-t", "overlay", "overlay", "-o", words, str(at)], cwd=cwd)
    if done.returncode != 0:
        raise SupportError(f"{target.name}: {done.stderr.strip()}")


def _start(argv: list[str], at: Path, realm: Realm, log: Path, cwd: Path | None) -> subprocess.Popen[bytes]:
    server = realm.spawn(argv, log, cwd=cwd)
    if not mounts.wait_until_mounted(at, realm.agent.pid, seconds=START_SECONDS, alive=server):
        status = server.poll()
        _kill(server)
        why = "ended with status " + str(status) if status is not None else "did not mount in time"
        raise SupportError(f"{' '.join(argv)}\n{why}:\n{_tail(log)}")
    return server


def unmount(at: Path, realm: Realm, server: subprocess.Popen[bytes] | None, log: Path) -> None:
    """Unmount and wait for the server; force both and raise SupportError where they resist."""
    trouble = []
    entry = mounts.at(at, realm.agent.pid)
    with contextlib.ExitStack() as opened:
        held = None if entry is None else mounts.connection(entry, realm.agent.pid)
        if held is not None:
            opened.enter_context(held)
        if entry is not None:
            plain = realm.kind.name == "user"
            argv = ["fusermount3", "-u", str(at)] if plain else ["umount", str(at)]
            try:
                done = realm.run(argv)
                reason = done.stderr.strip()
            except subprocess.TimeoutExpired:
                reason = "umount hangs"
            if mounts.at(at, realm.agent.pid) is not None:
                trouble.append(f"cannot unmount {at}: {reason}")
                if held is not None:
                    held.abort()
                realm.run(["fusermount3", "-uz", str(at)] if plain else ["umount", "-l", str(at)])
        if server is not None:
            if held is not None and not _ended(server) and held.lives():
                held.abort()  # some namespace of other programs has copied the mount
            try:
                status = server.wait(END_SECONDS)
                if status != 0:
                    trouble.append(f"the server ended with status {status}")
            except subprocess.TimeoutExpired:
                trouble.append(f"the server did not end; its threads:\n{_threads(server.pid)}")
                _kill(server)
    if trouble:
        raise SupportError("\n".join([*trouble, _tail(log)]))


def _ended(server: subprocess.Popen[bytes]) -> bool:
    try:
        server.wait(COPY_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _threads(pid: int) -> str:
    lines = []
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        try:
            waits = [(task / name).read_text().strip() for name in ("comm", "wchan", "syscall")]
        except OSError as exc:
            waits = [str(exc)]
        lines.append(f"{task.name} {' '.join(waits)}")
    return "\n".join(lines)


def _kill(server: subprocess.Popen[bytes]) -> None:
    server.kill()
    server.wait(END_SECONDS)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:] if log.exists() else ""
