"""Show on a real Debian what the driver does, and what containers do with it."""

from __future__ import annotations

import os
import sys
import time

from tests.demo import containers, union
from tests.demo.tree import debian_tree


def main() -> int:
    """Run the demo; return 0 if everything could be shown."""
    if os.geteuid() != 0:
        print("The demo calls chroot(2) and makes a tree with many owners; run it as root.", file=sys.stderr)
        return 1
    started = time.monotonic()
    tree, what = debian_tree()
    print(f"lower: {tree}: {what} ({time.monotonic() - started:.1f} s)")
    print("\n==== the driver, as root ====")
    union.show(tree)
    print("\n==== containers, as a plain user ====")
    return containers.show(tree)


sys.exit(main())
