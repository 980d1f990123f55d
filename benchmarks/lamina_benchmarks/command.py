"""The command `lamina bench`: measure, or show what was measured."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from lamina_benchmarks import (
    arguments,
    bed,
    client,
    compare,
    enclosure,
    environment,
    mounting,
    report,
    results,
    sampling,
    stored,
)

STARTED = time.monotonic()
FAILED, USAGE, INTERRUPTED = 1, 2, 130
CUT_SHORT = "interrupted: the rows from there on"


def main(argv: Sequence[str]) -> int:
    """Do what a command line asks for, and return the program's status."""
    words = list(argv)
    try:
        request = arguments.parse(words, rootless=enclosure.rootless())
        old = stored.load(request.compare) if request.compare else None
        if request.list:
            _say(report.listing(request.rows, request.columns))
            return 0
        if request.stored:
            run = stored.joined([stored.load(path) for path in request.stored])
        else:
            _possible(request)
            if not enclosure.inside():
                enclosure.enter(words)
            enclosure.give_up(path for path in (request.json, request.plots) if path)
            run = _measured(request, words)
        return _show(run, request, old)
    except (arguments.UsageError, stored.BadFileError) as error:
        return _refuse(str(error), USAGE)
    except (enclosure.NoEnclosureError, client.FailedError, subprocess.SubprocessError) as error:
        return _refuse(str(error), FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{where}{error.strerror or error}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _possible(request: arguments.Request) -> None:
    """Refuse before anything is measured what would fail at the end."""
    if request.plots:
        from lamina_benchmarks import plots

        plots.check()
    if request.json:
        with request.json.open("a", encoding="utf-8"):
            pass
    if all(mounting.missing(column) for column in request.columns):
        raise OSError(errno.ENOENT, "none of the targets is installed")


def _measured(request: arguments.Request, words: list[str]) -> results.Run:
    facts = environment.describe(shlex.join(["lamina", "bench", *words]), rootless=enclosure.rootless())
    plan = sampling.Plan(
        request.rows, request.columns, request.placements, request.samples,
        counts=request.counts, syscalls=request.syscalls,
    )  # fmt: skip
    run = results.Run(facts, list(request.placements), request.samples, [], [])
    progress = _Progress()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    try:
        with bed.opened() as made:
            plan = sampling.prepare(plan, made, run, progress)
            sampling.measure(plan, made, run, progress)
    except KeyboardInterrupt:
        run.left_out.append(CUT_SHORT)
        if not run.rows:
            raise
    finally:
        progress.end()
    facts["seconds"] = round(time.monotonic() - STARTED)
    return run


def _show(run: results.Run, request: arguments.Request, old: results.Run | None) -> int:
    if not run.rows or not run.columns:
        return _refuse("; ".join(["nothing could be measured", *run.left_out]), FAILED)
    if request.json:
        text = json.dumps(results.as_json(run), indent=1)
        request.json.write_text(text + "\n", encoding="utf-8")
    _say("\n".join(report.pages(run)))
    if old is not None:
        _say("\n".join(compare.pages(run, old)))
    if request.plots:
        from lamina_benchmarks import page

        _say(f"plots: {page.write(run, request.plots)}")
    return INTERRUPTED if CUT_SHORT in run.left_out and not request.stored else 0


class _Progress:
    """One line that is written over on a terminal, one line for each row elsewhere."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.last = ""

    def __call__(self, what: str, where: str) -> None:
        seconds = time.monotonic() - STARTED
        if self.terminal:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            line = f"{seconds:5.0f} s  {what}: {where}"[: width - 1]
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        elif what != self.last:
            print(f"{seconds:5.0f} s  {what}", file=sys.stderr, flush=True)
        self.last = what

    def end(self) -> None:
        """Leave the line clean."""
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(text, flush=True)


def _refuse(text: str, status: int) -> int:
    with contextlib.suppress(OSError):
        print("lamina bench:", " ".join(text.split()), file=sys.stderr, flush=True)
    return status
