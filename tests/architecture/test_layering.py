"""Who may import whom, and what a mount imports before it is usable."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import lamina_unionfs
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(lamina_unionfs.__file__).parents[1]
SLOW_TO_IMPORT = {
    "argparse", "collections", "ctypes", "dataclasses", "encodings.ascii", "enum", "functools", "inspect",
    "json", "logging",
    "os", "pathlib", "pyfuse3", "re", "signal", "site", "subprocess", "threading", "trio", "typing",
}  # fmt: skip


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)


def test_arrows_point_one_way() -> None:
    result = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing() -> None:
    result = run(sys.executable, "-m", "ruff", "check", "--quiet", "native", "unionfs", "runtime")
    assert result.returncode == 0, result.stdout


def test_banned_modules_are_caught(tmp_path: Path) -> None:
    source = tmp_path / "bad.py"
    source.write_text("import ctypes\nimport pyfuse3\n")
    result = run(
        sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--select", "TID251",
        str(source),
    )  # fmt: skip
    assert result.stdout.count("is banned") == 2


def test_a_mount_imports_nothing_slow_before_it_is_usable(tmp_path: Path) -> None:
    result = run(
        sys.executable, "-I", "-S", "-X", "importtime", str(PACKAGES / "lamina_unionfs" / "start.py"),
        "-f", "-o", f"lowerdir={tmp_path}/none", str(tmp_path),
    )  # fmt: skip
    assert "none: No such file or directory" in result.stderr
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", result.stderr, re.MULTILINE))
    assert {"lamina_unionfs.session", "lamina_native.server"} <= imported
    assert not imported & SLOW_TO_IMPORT


@pytest.mark.parametrize(
    "path", ["unionfs", "native/lamina_native", "runtime", "native/src", "native/include"]
)
def test_files_stay_small(path: str) -> None:
    sources = [file for file in (ROOT / path).rglob("*") if file.suffix in {".py", ".c", ".h"}]
    large = {str(file): count for file in sources if (count := len(file.read_text().splitlines())) > 650}
    assert not large
