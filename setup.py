"""Name what is compiled; everything else is in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import setup

launcher = runpy.run_path(str(Path(__file__).parent / "native" / "launcher.py"))
setup(
    cffi_modules=["native/build.py:core", "native/build.py:image"],
    cmdclass={"build_ext": launcher["build_launcher"]},
)
