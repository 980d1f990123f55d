"""A driver that is started first and told its arguments later."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lamina_unionfs
import pytest

START = Path(lamina_unionfs.__file__).with_name("start.py")


@pytest.fixture
def told() -> Callable[[bytes], subprocess.CompletedProcess[str]]:
    def tell(text: bytes) -> subprocess.CompletedProcess[str]:
        reader, writer = os.pipe()
        try:
            driver = subprocess.Popen(
                [sys.executable, "-I", "-S", str(START), f"--arguments-fd={reader}"],
                pass_fds=(reader,), text=True, errors="surrogateescape",
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        finally:
            os.close(reader)
        with open(writer, "wb") as file:
            file.write(text)
        out, err = driver.communicate(timeout=60)
        return subprocess.CompletedProcess([], driver.returncode, out, err)

    return tell


def test_without_arguments_it_ends(told: Callable[[bytes], subprocess.CompletedProcess[str]]) -> None:
    done = told(b"")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"-f\0-o\0lowerdir=/nowhere", "no NUL behind the last argument"),
        (b"-f\0-o\0lowerdir=/no\xffwhere\0/nor/here\0", "/no\\xffwhere: No such file or directory"),
        (b"-f\0--wrong\0", "unknown argument '--wrong'"),
        (b"\0" * ((1 << 24) + 1), "more than 16777216 bytes"),
    ],
    ids=["cut", "nowhere", "wrong", "endless"],
)
def test_refusals(told: Callable[[bytes], subprocess.CompletedProcess[str]], text: bytes, line: str) -> None:
    done = told(text)
    assert done.returncode != 0
    assert line in done.stderr.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    assert done.stderr.count("\n") == 1


def test_what_it_says_goes_to_the_log(
    told: Callable[[bytes], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("of before")
    done = told(b"-f\0--log=%b\0-o\0lowerdir=/nowhere\0/nor/here\0" % os.fsencode(log))
    assert done.returncode != 0
    assert done.stderr == ""
    assert log.read_text().startswith("lamina-unionfs: ")
    (tmp_path / "link").symlink_to(log)
    done = told(b"-f\0--log=%b\0-o\0lowerdir=/nowhere\0/nor/here\0" % os.fsencode(tmp_path / "link"))
    assert "--log: " in done.stderr
