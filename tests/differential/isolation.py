"""A mount namespace of our own: whatever happens to us, nothing stays mounted outside."""

import os
import sys

_INSIDE = "LAMINA_TEST_OWN_MOUNTS"


def enter_own_mounts(module: str) -> None:
    """Run the module again, with the same arguments, in a new mount namespace; return there."""
    if os.environ.get(_INSIDE) == module:
        return
    argv = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", module, *sys.argv[1:]]
    os.execvpe(argv[0], argv, os.environ | {_INSIDE: module})
