"""Print the requirements (to run, develop, and draw plots) that pyproject.toml names, one a line."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
print("\n".join([*project["dependencies"], *extras["bench"], *extras["dev"]]))
