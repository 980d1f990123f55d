"""Attaching, with a socket pair in the monitor's place."""

from __future__ import annotations

import os
import socket

import pytest
from lamina_runtime.container import attaching

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Pair:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def test_an_end_that_left_input_unread_is_an_end(pair: Pair, capfd: pytest.CaptureFixture[str]) -> None:
    ours, monitors = pair
    ours.send(b"inever read")
    monitors.send(b"olast words\n")
    monitors.send(b"x5")
    monitors.close()
    ended = attaching.attach(ours, stdin=False, terminal=False, kill=None)
    assert ended.status == 5
    assert capfd.readouterr().out == "last words\n"
    ours.close()


def test_input_for_one_who_has_ended_is_dropped(
    pair: Pair,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, monitors = pair
    reader, writer = os.pipe()
    os.write(writer, b"input")
    kept = os.dup(0)
    os.dup2(reader, 0)
    recv = attaching._show
    turns = iter([None, None, None])
    monkeypatch.setattr(attaching, "_show", lambda *given: next(turns, True) and recv(*given))
    monitors.send(b"x7")
    monitors.close()
    try:
        ended = attaching.attach(ours, stdin=True, terminal=False, kill=None)
    finally:
        os.dup2(kept, 0)
        for fd in (kept, reader, writer):
            os.close(fd)
    assert ended.status == 7
    assert capfd.readouterr().out == ""
    ours.close()
