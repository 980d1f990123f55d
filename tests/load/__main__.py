"""Run one scenario: `python -m tests.load SCENARIO --driver NAME`."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.differential import isolation
from tests.differential.drivers import DRIVERS, TRUSTED, USER
from tests.load import bed
from tests.load.scenarios import SCENARIOS, lower
from tests.support import mounts


def main() -> int:
    """Mount, load, look."""
    parser = argparse.ArgumentParser(prog="tests.load", description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--driver", choices=DRIVERS, default="lamina")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--on-disk", action="store_true", help="layers on the disk instead of on tmpfs")
    parser.add_argument("--userns", action="store_true", help="as root of a user namespace")
    options = parser.parse_args()
    (isolation.enter_own_ids if options.userns else isolation.enter_own_mounts)("tests.load")
    flavour = USER if options.userns else TRUSTED
    mounts.ensure_fusectl()
    started = time.monotonic()
    parent = "/var/tmp" if options.on_disk else None
    with tempfile.TemporaryDirectory(prefix="lamina-load-", dir=parent, ignore_cleanup_errors=True) as name:
        base = Path(name)
        if not options.on_disk:
            subprocess.run(["mount", "-t", "tmpfs", "load", name], check=True, timeout=10)
        base.chmod(0o755)
        with bed.opened(options.driver, base, lower(base, options.seed), flavour) as opened:
            SCENARIOS[options.scenario](opened, options.scale, options.seed)
            bed.assert_healthy(opened)
    sys.stdout.write(f"{options.scenario} on {options.driver}: {time.monotonic() - started:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
