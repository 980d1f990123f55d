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
OWN = {"why", "mount", "unmount", "umount", "verify", "check", "gc", "dedup", "doctor"}  # docker has none
ALIASES = {"umount", "image umount", "image list", "image remove"}


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(lamina: Lamina, verb: str) -> None:
    text = lamina.ok(*verb.split(), "--help")
    assert text.startswith(f"Usage:  lamina {verb}")
    assert "Options:" in text
    assert not lamina.root.exists(), "help makes no store"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_refuses_unknown_flags_in_one_line(lamina: Lamina, verb: str) -> None:
    status = 2 if verb.split()[-1] in OWN else 125
    stderr = lamina.refused(*verb.split(), "--nonsense", status=status, named="unknown flag: --nonsense")
    assert stderr.count("\n") == 1
    assert f"lamina {verb} --help" in stderr


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (["nonsense"], 1, "unknown command: lamina nonsense"),
        (["image", "nonsense"], 1, "unknown command: lamina image nonsense"),
        (["image", "--nonsense"], 125, "unknown flag: lamina image --nonsense"),
        (["tag", "a"], 1, "requires 2 arguments"),
        (["images", "a", "b"], 1, "requires at most 1 argument"),
        (["rmi"], 1, "requires at least 1 argument"),
        (["run"], 1, "requires at least 1 argument"),
        (["system", "df", "x"], 1, "accepts no arguments"),
        (["images", "--format"], 125, "flag needs an argument: --format"),
        (["images", "-qf"], 125, "flag needs an argument: 'f' in -qf"),
        (["images", "-qz"], 125, "unknown shorthand flag: 'z' in -qz"),
        (["images", "-q=2"], 125, 'invalid argument "2" for "-q, --quiet" flag'),
        (["images", "--filter", "nonsense=1"], 1, "invalid filter 'nonsense'"),
        (["images", "--filter", "dangling"], 125, "expected name=value"),
        (["images", "--filter", "dangling=perhaps"], 1, "invalid filter 'dangling=perhaps'"),
        (["images", "--tree", "-q"], 1, "--quiet is not yet supported with --tree"),
        (["--log-level", "loud", "images"], 1, "--log-level"),
        (["--nonsense"], 125, "unknown flag: --nonsense"),
        (["search", "--limit", "many", "x"], 125, "not a number"),
        (["login", "-p", "x", "--password-stdin"], 1, "mutually exclusive"),
        (["pull", "-a", "x:1"], 1, "tag can't be used"),
        (["inspect", "--type", "x", "y"], 1, "--type"),
        (["unmount"], 2, "requires a directory"),
        (["mount", "x"], 2, "requires"),
        (["mount", "x", "y", "--upper", "u"], 2, "--upper needs --rw"),
        (["save", "--format", "zip", "x"], 1, "--format"),
        (["save", "--platform", "a/b/c/d", "x"], 1, "x"),
        (["import", "-c", "RUN x", "-"], 1, "--change: 'RUN'"),
    ],
)
def test_senseless_command_lines(lamina: Lamina, words: list[str], status: int, named: str) -> None:
    """The statuses are those of docker 28.2 where docker has the verb."""
    assert lamina.refused(*words, status=status, named=named).count("\n") <= 2


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["rmi", "x"], 1),
        (["inspect", "--type", "image", "x"], 1),
        (["image", "inspect", "x"], 1),
        (["history", "x"], 1),
        (["save", "x"], 1),
        (["tag", "x", "y"], 1),
        (["push", "x"], 1),
        (["why", "x", "/"], 3),
        (["image", "verify", "x"], 3),
        (["mount", "x", "."], 3),
    ],
)
def test_what_is_not_there(lamina: Lamina, words: list[str], status: int) -> None:
    stderr = lamina.refused(
        *words, status=status, named="such image: x:latest" if words[0] != "push" else "x"
    )
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
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "error: No such image: x:latest" in done.stderr
