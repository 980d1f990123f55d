"""`python -m lamina_runtime` is the command `lamina`."""

import sys

from lamina_runtime.cli.main import entered

sys.exit(entered(sys.argv[1:]))
