"""Containers without root: an image of a real tree, run, changed, committed, shipped and run again."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support import accounts

SECONDS = 120
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LAMINA = Path(sys.executable).with_name("lamina")
STEPS = (
    "import -c 'CMD [\"sh\"]' -m 'a real tree' {top}/tree.tar demo:1",
    "run --name work -h demo demo:1 sh -c 'echo hello from $(hostname) as $(id -un), pid $$'",
    "rm work",
    "run --name work demo:1 sh -c 'echo changed > /etc/motd; rm -r /usr/share/doc; ls /'",
    "diff work | head -5",
    "commit -m 'a changed message' work demo:2",
    "history demo:2",
    "save -o {top}/demo.tar demo:2",
    "rm work",
    "--root {top}/elsewhere load -i {top}/demo.tar",
    "--root {top}/elsewhere run --rm demo:2 cat /etc/motd",
    "--root {top}/elsewhere why demo:2 /etc/motd",
    "--root {top}/elsewhere why demo:2 /etc/passwd",
)


def show(tree: Path) -> int:
    """Run the steps as the user of the tests; return the status of the first that fails, else 0."""
    reason = accounts.ensure_user()
    if reason is not None:
        print(f"there is no plain user here: {reason}", file=sys.stderr)
        return 1
    top = Path(tempfile.mkdtemp(prefix="lamina-demo-"))
    try:
        subprocess.run(["tar", "-C", str(tree), "-cf", str(top / "tree.tar"), "."], check=True)
        (top / "run").mkdir()
        for path in (top, top / "run"):
            os.chown(path, *accounts.ids())
        return next(filter(None, (_step(top, step) for step in STEPS)), 0)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _step(top: Path, step: str) -> int:
    line = step.format(top=top)
    print(f"$ lamina {line}", flush=True)
    settings = [
        f"LAMINA_ROOT={top}/store",
        f"XDG_RUNTIME_DIR={top}/run",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    ]
    words = [*accounts.as_user(), "/usr/bin/env", *settings, "sh", "-c", f"{shlex.quote(str(LAMINA))} {line}"]
    started = time.monotonic()
    done = subprocess.run(words, text=True, capture_output=True, timeout=SECONDS, check=False)
    for text in (done.stdout + done.stderr).splitlines():
        print(f"  {text}")
    print(f"  ({time.monotonic() - started:.2f} s)")
    return done.returncode
