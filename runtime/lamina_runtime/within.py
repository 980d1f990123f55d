"""Where a helper enters Python that works inside a container's namespaces: see container.inside.

Run as a file, without site, like start.py.
"""

import posix
import sys

sys.path.insert(0, __file__.rpartition("/")[0].rpartition("/")[0])

from lamina_runtime.container.inside import main

posix._exit(main(sys.argv[1]))  # noqa: SLF001 - taking an interpreter down costs milliseconds
