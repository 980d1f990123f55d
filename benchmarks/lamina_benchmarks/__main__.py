"""`python -m lamina_benchmarks`: what `lamina bench` runs."""

import sys

from lamina_benchmarks.command import main

sys.exit(main(sys.argv[1:]))
