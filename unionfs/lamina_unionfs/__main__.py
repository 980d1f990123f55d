"""`python -m lamina_unionfs` is the command `lamina-unionfs`."""

import sys

from lamina_unionfs.cli import main

sys.exit(main(sys.argv[1:]))
