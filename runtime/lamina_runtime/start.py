"""Where the installed script enters Python, which runs without site: find our own packages.

Run as a file, so that no import machinery has to look for it.  Where what we depend on is
installed elsewhere, the first import that misses something completes the module path
(`cli.main`); where even the C module cannot be had, start again the ordinary way.
"""

import posix
import sys

sys.path.insert(0, __file__.rpartition("/")[0].rpartition("/")[0])

try:
    import lamina_native.errors  # noqa: F401 - only to see whether the C module can be had
except ImportError:
    posix.execv(sys.executable, [sys.executable, "-m", "lamina_runtime", *sys.argv[1:]])

from lamina_runtime.cli.main import entered

posix._exit(entered(sys.argv[1:]))  # taking an interpreter down costs milliseconds
