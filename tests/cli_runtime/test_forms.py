"""How every verb is called, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import pytest
from lamina_runtime.cli import catalogue

from tests.cli_runtime.conftest import COMMAND, Lamina

VERBS = sorted(verb for verb in catalogue.VERBS if catalogue.VERBS[verb].module != "bench")
RUNNING = {"run", "create", "exec", "unshare"}  # whose other statuses are the program's
ALIASES = {"umount", "image umount", "image list", "image remove"}


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(lamina: Lamina, verb: str) -> None:
    text = lamina.ok(*verb.split(), "--help")
    assert text.startswith(f"Usage:  lamina {verb}")
    assert "Options:" in text
    assert not lamina.root.exists(), "help makes no store"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_refuses_unknown_flags_in_one_line(lamina: Lamina, verb: str) -> None:
    status = 125 if verb.split()[-1] in RUNNING else 2
    stderr = lamina.refused(*verb.split(), "--nonsense", status=status, named="unknown flag: --nonsense")
    assert stderr.count("\n") == 1
    assert f"lamina {verb} --help" in stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["nonsense"], "unknown command: lamina nonsense"),
        (["image", "nonsense"], "unknown command: lamina image nonsense"),
        (["tag", "a"], "requires 2 arguments"),
        (["images", "a", "b"], "requires at most 1 argument"),
        (["rmi"], "requires at least 1 argument"),
        (["system", "df", "x"], "accepts no arguments"),
        (["images", "--format"], "flag needs an argument: --format"),
        (["images", "-qf"], "flag needs an argument: 'f' in -qf"),
        (["images", "-qz"], "unknown shorthand flag: 'z' in -qz"),
        (["images", "-q=2"], 'invalid argument "2" for "-q, --quiet" flag'),
        (["images", "--filter", "nonsense=1"], "invalid filter 'nonsense'"),
        (["images", "--filter", "dangling"], "name=value expected"),
        (["images", "--filter", "dangling=perhaps"], "invalid filter 'dangling=perhaps'"),
        (["--log-level", "loud", "images"], "--log-level"),
        (["--nonsense"], "unknown flag: --nonsense"),
        (["search", "--limit", "many", "x"], "not a number"),
        (["login", "-p", "x", "--password-stdin"], "mutually exclusive"),
        (["pull", "-a", "x:1"], "tag can't be used"),
        (["unmount"], "requires a directory"),
        (["mount", "x", "y", "--upper", "u"], "--upper needs --rw"),
        (["save", "--format", "zip", "x"], "--format"),
        (["import", "-c", "RUN x", "-"], "--change: 'RUN'"),
    ],
)
def test_senseless_command_lines(lamina: Lamina, words: list[str], named: str) -> None:
    assert lamina.refused(*words, status=2, named=named).count("\n") <= 2


@pytest.mark.parametrize(
    "words",
    [
        ["rmi", "x"],
        ["image", "inspect", "x"],
        ["history", "x"],
        ["save", "x"],
        ["tag", "x", "y"],
        ["why", "x", "/"],
    ],
)
def test_what_is_not_there_has_its_own_status(lamina: Lamina, words: list[str]) -> None:
    stderr = lamina.refused(*words, status=3, named="No such image: x:latest")
    assert stderr.count("\n") == 1


def test_flags_are_read_as_docker_reads_them(loaded: Lamina) -> None:
    ids = loaded.ok("images", "--quiet", "--no-trunc")
    assert (
        ids == loaded.ok("images", "-aq", "--no-trunc=true") == loaded.ok("images", "--no-trunc", "-q", "--")
    )
    assert "REPOSITORY" in loaded.ok("images", "-q=false")
    assert loaded.ok("images", "one", "--format={{.Repository}}") == "one\n"
    assert loaded.ok("images", "-freference=one", "--format", "{{.Tag}}") == "latest\n"


def test_version(lamina: Lamina) -> None:
    assert re.fullmatch(r"lamina version \d+\.\d+\.\d+\n", lamina.ok("--version"))
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", lamina.ok("version", "-f", "{{.Client.Version}}"))
    assert lamina.ok("info", "-f", "{{.Root}}") == f"{lamina.root}\n"


def test_root_flag_wins_over_the_environment(loaded: Lamina) -> None:
    assert loaded.ok("--root", loaded.top / "other", "images", "-q") == ""
    assert loaded.ok("images", "-q") != ""


def test_a_reader_that_goes_away_is_no_error(loaded: Lamina) -> None:
    script = f"{' '.join(loaded.words('inspect', *['two'] * 200))} | head -c 10"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_interrupt_ends_quietly(lamina: Lamina) -> None:
    process = subprocess.Popen(
        [str(COMMAND), "load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=lamina.environment | {"LAMINA_ROOT": str(lamina.top / "interrupted")},
    )  # fmt: skip
    end = time.monotonic() + 20
    while not (lamina.top / "interrupted" / "store" / "leases").is_dir() or not os.listdir(
        lamina.top / "interrupted" / "store" / "leases"
    ):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in stderr


def test_debug_shows_where(lamina: Lamina) -> None:
    done = lamina.run("--debug", "history", "x")
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "error: No such image: x:latest" in done.stderr
