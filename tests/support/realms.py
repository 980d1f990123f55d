"""Who runs the servers and the cases: root, a plain user, or root of a user namespace.

A realm has a workspace directory of its own, an agent that runs functions in it, and words
to put before a command that is to run in it.  A namespace lives as long as its agent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import accounts, mounts, tree
from tests.support.agent import Agent
from tests.support.errors import SupportError

COMMAND_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RealmKind:
    """The properties of a realm that do not depend on a session.

    'abilities': "uids" may become other users, "device" makes device nodes, "trusted" sees
    trusted.* xattrs, "caps" sets file capabilities.
    """

    name: str
    abilities: frozenset[str]
    requires: tuple[str, ...]
    dialect: str
    unshare: tuple[str, ...] = ()


_UNSHARE = ("unshare", "--user", "--mount", "--map-root-user")
# A user's mount namespace copies every mount that exists, locks it and so keeps its server alive
# for as long as the namespace lives.  So root first makes a namespace without the mounts of tests
# that run beside us.
_CLEAN = (
    "unshare", "--mount", "--propagation=private", "sh", "-c",
    r"""for path in $(grep -E ' - (fuse|fuse\.[^ ]*|overlay) ' /proc/self/mountinfo | cut -d' ' -f5 | tac)
    do umount -l "$path"; done 2>/dev/null; exec "$@" """,
    "sh",
)  # fmt: skip
KINDS = {
    kind.name: kind
    for kind in (
        RealmKind("root", frozenset({"uids", "device", "trusted", "caps"}), ("root",), tree.TRUSTED),
        RealmKind("user", frozenset(), ("userns",), tree.USER),
        RealmKind("userns", frozenset({"uids"}), ("userns", "subids"), tree.USER, (*_UNSHARE, "--map-auto")),
        RealmKind("userns-one", frozenset(), ("userns",), tree.USER, _UNSHARE),
    )
}


@dataclass(slots=True)
class Realm:
    """A running realm."""

    kind: RealmKind
    top: Path
    agent: Agent
    prefix: list[str]
    live: list[Path] = field(default_factory=list)  # mount points, for the rescue

    def run(self, argv: list[str], *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the realm; a hang is an error, a status is the caller's."""
        return subprocess.run(
            self.words(argv, cwd), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )

    def spawn(self, argv: list[str], log: Path, *, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a server in the realm with its output in a file."""
        with log.open("wb") as output:
            return subprocess.Popen(
                self.words(argv, cwd), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def words(self, argv: list[str], cwd: Path | None) -> list[str]:
        """Return the command line that runs a command in the realm, whose directory tree may be another."""
        if cwd is None:
            return [*self.prefix, *argv]
        return [*self.prefix, "sh", "-c", 'cd "$0" && exec "$@"', str(cwd), *argv]

    def directory(self, name: str) -> Path:
        """Make a directory that the realm owns, by a process that touches no mount."""
        path = self.top / name
        path.mkdir(parents=True)
        if os.geteuid() == 0 and self.kind.name != "root":
            os.chown(path, *accounts.ids())
        return path

    def rescue(self) -> None:
        """Abort every FUSE connection of the realm: somebody waits for an answer in vain."""
        for path in self.live:
            entry = mounts.at(path, self.agent.pid)
            if entry is not None:
                mounts.abort(entry, self.agent.pid)


@contextlib.contextmanager
def realm(name: str, top: Path) -> Iterator[Realm]:
    """Open a realm with its workspace at 'top'; the workspace is removed at the end."""
    kind = KINDS[name]
    mounts.ensure_fusectl()
    top.mkdir(parents=True)
    prefix: list[str] = []
    if name != "root":
        reason = accounts.ensure_user()
        if reason is not None:
            raise SupportError(reason)
        prefix = accounts.as_user()
        if os.geteuid() == 0:
            os.chown(top, *accounts.ids())
    opened: list[Realm] = []
    clean = _CLEAN if kind.unshare and os.geteuid() == 0 else ()
    with Agent([*clean, *prefix, *kind.unshare], rescue=lambda: opened[0].rescue()) as agent:
        if kind.unshare:
            prefix = [*prefix, "nsenter", "--preserve-credentials", "-U", "-m", "-t", str(agent.pid), "--"]
        opened.append(Realm(kind, top, agent, prefix))
        yield opened[0]
        left = mounts.below(top, agent.pid)
        if left:
            raise SupportError(f"still mounted in realm {name}: {', '.join(m.path for m in left)}")
        if kind.unshare and os.geteuid() != 0:
            agent.call_within(60, _empty, top)  # files of subordinate ids
    shutil.rmtree(top)


def _empty(top: Path) -> None:
    for child in top.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
