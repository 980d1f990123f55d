"""What a command imports: a listing is to answer in 50 ms, and imports are its cost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import lamina_runtime
import pytest

from tests.cli_runtime.conftest import Lamina

START = Path(lamina_runtime.__file__).with_name("start.py")
SLOW = {
    "argparse", "asyncio", "backports", "base64", "collections", "concurrent.futures", "contextlib",
    "dataclasses", "enum", "functools", "hashlib", "httpcore", "importlib.metadata", "inspect", "isal",
    "json", "logging", "lzma", "pathlib", "re", "shutil", "signal", "site", "socket", "ssl", "subprocess",
    "tarfile", "tempfile", "threading", "trio", "typing", "xxhash", "zlib",
}  # fmt: skip
PARTS = ("lamina_runtime.archive", "lamina_runtime.layer.decompress", "lamina_runtime.registry")


LISTINGS = (
    "images",
    "images --digests",
    "image ls -q",
    "version",
    "help",
    "ps -a",
    "inspect two",
    "history two",
)


@pytest.mark.parametrize("words", LISTINGS)
@pytest.mark.parametrize("lamina", ["root"], indirect=True)
def test_listings_import_nothing_slow(loaded: Lamina, words: str) -> None:
    argv = [sys.executable, "-I", "-S", "-X", "importtime", str(START), *words.split()]
    if words == "help":
        argv[-1] = "--help"
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, check=False, env=loaded.environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))
    assert "lamina_runtime.cli.main" in imported
    assert not imported & SLOW
    assert not [name for name in imported if name.startswith(PARTS)]
