"""The hypothesis state machine: `python -m tests.differential.machine --examples N --target NAME`.

Rules draw the operations' arguments, so that hypothesis can shrink them and remember failing
examples in `.hypothesis`.  One rule is one operation; what an operation does and how outcomes
are compared is `operations` and `session`, as for the soak, which is much faster a step.
"""

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.differential import acl, calls, isolation, stacks, vocabulary
from tests.differential.drivers import DRIVERS, FLAVOURS
from tests.differential.operations import Op
from tests.differential.session import opened
from tests.support import mounts

names = st.sampled_from(vocabulary.NAMES)
seeds = st.integers(1, 9999)
sizes = st.sampled_from(vocabulary.SIZES)
modes = st.sampled_from(vocabulary.MODES)
slots = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    """Two mounts of one random stack; `target` is set by `main`."""

    target = "lamina"
    base = Path()
    paths = Bundle("paths")
    folders = Bundle("folders")

    def __init__(self) -> None:
        super().__init__()
        self._open = contextlib.ExitStack()
        self._folder = Path(tempfile.mkdtemp(dir=self.base))
        self._folder.chmod(0o755)
        self._number = 0

    @initialize(
        seed=st.integers(0, 2**32),
        count=st.integers(1, 6),
        flavour=st.sampled_from(sorted(FLAVOURS)),
    )
    def build(self, seed: int, count: int, flavour: str) -> None:
        """Draw a stack and mount it twice."""
        lower = self._folder / "lower"
        lower.mkdir()
        _, lowers = stacks.draw(random.Random(seed), lower, FLAVOURS[flavour], count)
        drivers = DRIVERS["kernel"], DRIVERS[self.target]
        self._session = self._open.enter_context(opened(drivers, lowers, self._folder, FLAVOURS[flavour]))

    @initialize(target=folders)
    def root(self) -> Any:
        """Offer the root and directories that layers may have."""
        return multiple("", *(name + "/" for name in vocabulary.NAMES[:4]))

    @initialize(target=paths)
    def layer_names(self) -> Any:
        """Offer names that layers may have."""
        return multiple(*vocabulary.NAMES, *(f"{a}/{b}" for a in "abpq" for b in "acpr"))

    def _do(self, op: Op) -> None:
        self._session.step(op)

    # ---- names ----

    @rule(target=paths, folder=folders, name=names)
    def name(self, folder: str, name: str) -> str:
        """Compose a path."""
        return folder + name

    @rule(target=folders, path=paths, mode=st.sampled_from(vocabulary.DIRECTORY_MODES))
    def mkdir(self, path: str, mode: int) -> str:
        """Make a directory."""
        self._do(("mkdir", path, mode))
        return path + "/" if path.count("/") < vocabulary.MAX_DEPTH - 1 else ""

    @rule(path=paths, flags=st.sampled_from((0, os.O_EXCL, os.O_TRUNC)), mode=modes, seed=seeds, size=sizes)
    def create(self, path: str, flags: int, mode: int, seed: int, size: int) -> None:
        """Create a file."""
        self._do(("create", path, flags, mode, seed, size))

    @rule(source=paths, path=paths)
    def link(self, source: str, path: str) -> None:
        """Link."""
        self._do(("link", source, path))

    @rule(path=consumes(paths), verb=st.sampled_from(("unlink", "rmdir", "rmtree")))
    def remove(self, path: str, verb: str) -> None:
        """Remove."""
        self._do((verb, path))

    @rule(
        source=paths, path=paths, flags=st.sampled_from((0, 0, calls.RENAME_NOREPLACE, calls.RENAME_EXCHANGE))
    )
    def rename(self, source: str, path: str, flags: int) -> None:
        """Rename."""
        self._do(("rename", source, path, flags))

    # ---- contents and attributes ----

    @rule(
        path=paths, flags=st.sampled_from((0, os.O_APPEND, os.O_TRUNC)), offset=sizes, seed=seeds, size=sizes
    )
    def write(self, path: str, flags: int, offset: int, seed: int, size: int) -> None:
        """Write."""
        self._do(("write", path, flags, offset, seed, size))

    @rule(path=paths, size=sizes)
    def truncate(self, path: str, size: int) -> None:
        """Truncate."""
        self._do(("truncate", path, size))

    @rule(path=paths, mode=modes, user=st.sampled_from((None, *vocabulary.USERS)))
    def chmod(self, path: str, mode: int, user: Any) -> None:
        """Change the mode, perhaps as somebody else."""
        op = ("chmod", path, mode)
        self._do(op if user is None else ("as_user", *user, op))

    @rule(path=paths, uid=st.sampled_from((-1, 0, 1000)), gid=st.sampled_from((-1, 0, 2000)))
    def chown(self, path: str, uid: int, gid: int) -> None:
        """Change the owner."""
        self._do(("chown", path, uid, gid))

    @rule(path=paths, name=st.sampled_from(vocabulary.XATTRS), value=st.binary(max_size=40))
    def setxattr(self, path: str, name: str, value: bytes) -> None:
        """Set an extended attribute."""
        self._do(("setxattr", path, name, value, 0))

    @rule(path=paths, kind=st.sampled_from((acl.ACCESS, acl.DEFAULT)), seed=seeds)
    def set_acl(self, path: str, kind: str, seed: int) -> None:
        """Set an ACL."""
        self._do(("setxattr", path, kind, vocabulary.acl_value(random.Random(seed)), 0))

    # ---- handles ----

    @rule(slot=slots, path=paths, flags=st.sampled_from((os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC)))
    def open(self, slot: int, path: str, flags: int) -> None:
        """Open a file."""
        self._do(("open", slot, path, flags, 0))

    @rule(slot=slots, path=paths)
    def opendir(self, slot: int, path: str) -> None:
        """Open a directory."""
        self._do(("opendir", slot, path))

    @rule(slot=slots, name=names, verb=st.sampled_from(("create_at", "mkdir_at")))
    def create_below(self, slot: int, name: str, verb: str) -> None:
        """Create below a handle."""
        self._do((verb, slot, name, 0o750))

    @rule(slot=slots, offset=sizes, seed=seeds, size=sizes)
    def pwrite(self, slot: int, offset: int, seed: int, size: int) -> None:
        """Write through a handle, look at what it shows."""
        self._do(("pwrite", slot, offset, seed, size))
        self._do(("fstat", slot))
        self._do(("pread", slot, 0, 400_000))

    # ---- the whole ----

    @rule(what=st.sampled_from(("check", "check", "remount", "swap", "drop_caches")))
    def whole(self, what: str) -> None:
        """Compare the trees, remount, or exchange uppers."""
        self._do((what,))

    def teardown(self) -> None:
        """Compare a last time across an exchange of uppers, then unmount."""
        try:
            if hasattr(self, "_session") and sys.exc_info()[0] is None:
                self._do(("swap",))
        finally:
            self._open.close()
            shutil.rmtree(self._folder, ignore_errors=True)


def main() -> int:
    """Run the machine."""
    isolation.enter_own_mounts("tests.differential.machine")
    parser = argparse.ArgumentParser(prog="tests.differential.machine", description=__doc__)
    parser.add_argument("--target", choices=DRIVERS, default="lamina")
    parser.add_argument("--examples", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50, help="of one example, at most")
    options = parser.parse_args()
    mounts.ensure_fusectl()
    Machine.target = options.target
    with tempfile.TemporaryDirectory(prefix="lamina-machine-", ignore_cleanup_errors=True) as base:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "machine", base], check=True, timeout=10)
        Machine.base = Path(base)
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=options.examples,
                    stateful_step_count=options.steps,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    print_blob=True,
                ),
            )
        finally:
            subprocess.run(["umount", "-l", base], check=True, timeout=10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
