"""Watching containers: attach and its keys, logs, top, stats, wait, prune."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.containers_cli.conftest import IMAGE, Host, make_host, wait_for
from tests.containers_cli.terminal import Terminal

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(120)]
TICKS = "(while :; do echo tick; sleep 0.05; done) &"
LOOP = "while read line; do echo got $line; done; echo end"


@pytest.fixture(scope="module")
def shared() -> Iterator[Host]:
    made = make_host("user")
    yield made
    shutil.rmtree(made.top, ignore_errors=True)


def test_a_terminal_is_detached_from_attached_to_and_resized(host: Host) -> None:
    script = "trap 'echo size $(stty size)' WINCH; echo size $(stty size); "
    script += "while :; do read line && echo got $line; done"
    begin = host.command("run", "-it", "--name", "term", IMAGE, "sh", "-c", script)
    with Terminal(begin, rows=33, columns=77) as one:
        one.expect("size 33 77")
        one.type(b"first\r")
        one.expect("got first")
        one.resize(21, 55)
        one.expect("size 21 55")
        one.type(b"\x10\x11")  # control-P, control-Q
        assert one.status() == 0
    assert host.state("term") == "running 0"
    with Terminal(host.command("attach", "--detach-keys", "ctrl-x,y", "term")) as two:
        two.expect("size 24 80")
        two.type(b"second\r")
        two.expect("got second")
        two.type(b"\x18no\r")  # only the beginning of the keys: it is the container's
        two.expect("no")
        two.type(b"\x18y")
        assert two.status() == 0
    assert host.state("term") == "running 0"
    refused = host.run("attach", "--detach-keys", "ctrl-nosuch", "term")
    assert (refused.returncode, "detach key" in refused.stderr) == (1, True)
    without = host.run("attach", "term")
    assert (without.returncode, "not a TTY" in without.stderr) == (1, True)


def _attached(host: Host, *words: str) -> subprocess.Popen[str]:
    """Return a command that has shown what the container writes, so that it is attached."""
    process = host.start(*words)
    assert process.stdout is not None
    assert process.stdout.readline() == "tick\n"
    return process


def _said(text: str) -> list[str]:
    return [line for line in text.splitlines() if line != "tick"]


def test_attach_passes_input_signals_and_the_status_on(host: Host) -> None:
    host("run", "-d", "-i", "--name", "reads", IMAGE, "sh", "-c", f"{TICKS} {LOOP}; exit 6")
    watcher = _attached(host, "attach", "--no-stdin", "reads")
    starter = _attached(host, "start", "--attach", "reads")  # it runs: then to start is to attach
    ended = host.run("attach", "reads", stdin="one\ntwo\n")
    assert (_said(ended.stdout), ended.returncode) == (["got one", "got two", "end"], 6)
    out, _ = watcher.communicate(timeout=40)
    assert (_said(out), watcher.returncode) == (["got one", "got two", "end"], 6)
    out, _ = starter.communicate(timeout=40)
    assert (_said(out), starter.returncode) == (["got one", "got two", "end"], 6)


def test_signals_are_passed_on_unless_that_is_not_wished(host: Host) -> None:
    host("run", "-d", "--name", "traps", IMAGE, "sh", "-c", f"trap 'exit 4' USR1; {TICKS} wait; exit 5")
    kept = _attached(host, "attach", "--sig-proxy=false", "traps")
    passing = _attached(host, "attach", "traps")
    kept.send_signal(signal.SIGUSR1)
    kept.communicate(timeout=40)
    assert kept.returncode == -signal.SIGUSR1
    passing.send_signal(signal.SIGUSR1)
    passing.communicate(timeout=40)
    assert passing.returncode == 4
    refused = host.run("attach", "traps")
    assert (refused.returncode, "is not running" in refused.stderr) == (1, True)


def test_logs(host: Host) -> None:
    script = "echo one; sleep 1.1; echo two; echo three >&2; sleep 0.4; printf four"
    host("run", "-d", "--name", "talks", IMAGE, "sh", "-c", script)
    followed = host.run("logs", "-f", "talks")
    assert (followed.stdout, followed.stderr) == ("one\ntwo\nfour", "three\n")
    assert host.run("logs", "-n", "1", "talks").stdout == "four"
    stamped = host("logs", "-t", "--tail", "3", "talks").splitlines()
    moment, word = stamped[0].split()
    assert (word, bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", moment))) == ("two", True)
    assert host("logs", "--since", moment, "talks") == "two\nfour"
    assert host("logs", "--until", moment, "talks") == "one\ntwo\n"
    assert host("logs", "--since", "1h", "--until", "1ns", "talks") == "one\ntwo\nfour"
    assert host("logs", "--until", "1h", "talks") == ""
    assert host.run("logs", "--since", "yesterday-ish", "talks").returncode == 1
    assert host.run("logs", "nosuch").returncode == 1


def test_top(host: Host) -> None:
    host("run", "-d", "--name", "tops", IMAGE, "sh", "-c", "sleep 77 & exec sleep 78")
    wait_for(lambda: "sleep 77" in host("top", "tops") and "sleep 78" in host("top", "tops"))
    lines = host("top", "tops", "-o", "pid,comm,args").splitlines()
    assert lines[0].split()[0] == "PID"
    assert len(lines) == 3
    assert host.run("top", "tops", "--no-such-option").returncode == 1
    host("stop", "-t", "0", "tops")
    assert host.run("top", "tops").returncode == 1


def test_stats(host: Host) -> None:
    host("run", "-d", "--name", "works", IMAGE, "sh", "-c", "while :; do :; done")
    host("create", "--name", "rests", IMAGE)
    row = json.loads(host("stats", "--no-stream", "--format", "json", "works"))
    assert row["Name"] == "works"
    assert float(row["CPUPerc"].rstrip("%")) > 1
    assert (row["PIDs"], " / " in row["MemUsage"]) == ("1", True) or row["PIDs"] == 1
    assert host("stats", "--no-stream", "--format", "{{.Name}}") == "works\n"
    assert set(host("stats", "--no-stream", "-a", "--format", "{{.Name}}").split()) == {"works", "rests"}
    assert host.run("stats", "--no-stream", "nosuch").returncode == 1
    host("kill", "works")


def test_wait(host: Host) -> None:
    host("create", "--name", "never", IMAGE, "true")
    assert host("wait", "never") == "0\n"
    host("run", "-d", "-i", "--name", "one", IMAGE, "sh", "-c", "read x; exit 9")
    host("run", "-d", "-i", "--name", "two", IMAGE, "sh", "-c", "read x; exit 8")
    waiting = host.start("wait", "one", "two")
    host.run("attach", "two", stdin="go\n")
    host.run("attach", "one", stdin="go\n")
    assert waiting.communicate(timeout=40)[0] == "9\n8\n"
    ended = host.run("wait", "nosuch", "one")
    assert (ended.stdout, ended.returncode) == ("9\n", 1)


def test_prune_with_filters(host: Host) -> None:
    host("create", "--name", "kept", "--label", "keep=yes", IMAGE)
    host("create", "--name", "gone", "--label", "stage=1", IMAGE)
    host("create", "--name", "plain", IMAGE)
    host("run", "-d", "--name", "runs", IMAGE, "sleep", "100")
    assert "kept" in host("container", "prune", "-f", "--filter", "until=1h") + host("ps", "-a")
    pruned = host("container", "prune", "-f", "--filter", "label=stage=1")
    assert (len(pruned.splitlines()), "Total reclaimed space: " in pruned) == (4, True)
    host("container", "prune", "-f", "--filter", "label!=keep")
    assert set(host("ps", "-a", "--format", "{{.Names}}").split()) == {"kept", "runs"}
    asked = host.run("container", "prune", stdin="n\n")
    assert (asked.returncode, "WARNING" in asked.stdout) == (0, True)
    assert set(host("ps", "-a", "--format", "{{.Names}}").split()) == {"kept", "runs"}
    assert host.run("container", "prune", "-f", "--filter", "nosuch=1").returncode == 1
    host("container", "prune", "-f")
    assert host("ps", "-a", "--format", "{{.Names}}") == "runs\n"
