"""The arithmetic of `lamina bench`, its tables, its files, and its answers to bad words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lamina_benchmarks import (
    arguments,
    client,
    columns,
    command,
    compare,
    enclosure,
    report,
    results,
    rows,
    sampling,
    stored,
)
from lamina_benchmarks.bed import Bed
from lamina_benchmarks.results import Cell, Heading, Run, Target

ROOT_GOALS = {"root": (2.0, 0.5), "user": (3.0, 0.5)}


def a_run() -> Run:
    run = Run(
        {"date": "2026-01-01", "cpus": 2},
        ["pinned", "free"],
        3,
        [
            Target("kernel", "overlay"),
            Target("fuse-overlayfs", "fuse-overlayfs"),
            Target("lamina", "lamina", "root"),
        ],
        [
            Heading("create", "create 10", "names", operations=10, goals=dict(ROOT_GOALS)),
            Heading("walk", "walk", "trees", goals=dict(ROOT_GOALS)),
            Heading("start", "mount start-up", "mount", limit=20.0),
        ],
    )
    for row, numbers in {
        "create": (10.0, 40.0, 15.0),
        "walk": (5.0, 10.0, 20.0),
        "start": (1.0, 2.0, 15.0),
    }.items():
        for column, value in zip(run.columns, numbers, strict=True):
            cell = Cell([value * 0.9, value, value * 3], client_ms=[value / 2] * 3, rss_kib=2048)
            if column.kind != "overlay":
                cell.server_ms = [value / 4] * 3
            run.cells[row, "pinned", column.name] = cell
    run.cells["create", "pinned", "lamina"].requests = {"CREATE": 10, "LOOKUP": 15}
    return run


def test_a_ratio_compares_medians() -> None:
    run = a_run()
    assert results.ratio(run, ("create", "pinned", "lamina"), "kernel") == 1.5
    assert results.ratio(run, ("create", "pinned", "lamina"), "fuse-overlayfs") == 0.375
    assert results.ratio(run, ("create", "free", "lamina"), "kernel") is None
    assert results.spread(run.cells["create", "pinned", "lamina"]) == (13.5, 45.0)


def test_cost_is_of_client_and_server_together() -> None:
    run = a_run()
    assert results.cost(run.cells["create", "pinned", "lamina"]) == [11.25] * 3
    assert results.cost(run.cells["create", "pinned", "kernel"]) == [5.0] * 3


def test_a_goal_is_kept_only_if_both_ratios_are() -> None:
    run, ours = a_run(), Target("lamina", "lamina", "root")
    verdicts = [results.met(run, row, "pinned", ours) for row in run.rows]
    assert verdicts == [True, False, True]
    assert results.met(run, run.rows[0], "pinned", run.columns[0]) is None


def test_a_mean_is_geometric_and_leaves_limits_out() -> None:
    assert results.mean(a_run(), "pinned", "lamina", "kernel") == pytest.approx((1.5 * 4.0) ** 0.5)


def test_a_cell_that_failed_counts_nowhere() -> None:
    run = a_run()
    run.cells["walk", "pinned", "lamina"].trouble = "the server ended"
    assert results.mean(run, "pinned", "lamina", "kernel") == pytest.approx(1.5)
    assert "left out: walk, pinned, lamina: the server ended" in list(report.pages(run))


def test_the_table_shows_medians_ratios_and_misses() -> None:
    lines = list(report.pages(a_run()))
    assert any(line.startswith("create 10") and "15.0 1.50/0.38" in line for line in lines)
    assert any(line.startswith("walk") and "!20.0 4.00/2.00" in line for line in lines)
    assert any("25 [2.50] requests: LOOKUP 15, CREATE 10" in line for line in lines)
    assert any(line.split()[:4] == ["lamina", "2", "of", "3"] for line in lines)


def test_a_summary_of_nothing_is_no_number() -> None:
    run = a_run()
    run.cells = {place: cell for place, cell in run.cells.items() if place[2] == "kernel"}
    lines = list(report.pages(run))
    at = next(number for number, line in enumerate(lines) if line.startswith("summary, pinned"))
    ours = [line.split() for line in lines[at:] if line.startswith("lamina")]
    assert ours == [["lamina", *["-"] * 7]] * len(run.placements)


def test_a_run_survives_its_file(tmp_path: Path) -> None:
    run = a_run()
    path = tmp_path / "run.json"
    path.write_text(json.dumps(results.as_json(run)))
    assert stored.load(path) == run


def test_two_runs_join_and_disagreement_is_refused() -> None:
    one, two = a_run(), a_run()
    del one.cells["walk", "pinned", "lamina"]
    whole = stored.joined([one, two])
    assert whole.cells.keys() == two.cells.keys()
    assert [row.name for row in whole.rows] == ["create", "walk", "start"]
    two.rows[0] = Heading("create", "create 99", "names")
    with pytest.raises(stored.BadFileError, match="different work"):
        stored.joined([one, two])


def test_a_comparison_is_in_units_of_the_kernel_too() -> None:
    new, old = a_run(), a_run()
    for name in ("kernel", "lamina"):
        cell = new.cells["create", "pinned", name]
        cell.values = [value * 2 for value in cell.values]
    assert compare.change(new, old, ("create", "pinned", "lamina")) == (2.0, 1.0)
    assert any(line.startswith("create 10") and "2.00 (1.00)" in line for line in compare.pages(new, old))


DAMAGE = {
    "empty": "",
    "list": "[]",
    "other": '{"format": "x"}',
    "bare": '{"format": "lamina-bench-1"}',
    "deep": "[" * 100_000,
    "cells": json.dumps(results.as_json(a_run()) | {"cells": [{"row": "create"}]}),
    "nothing": json.dumps(results.as_json(a_run()) | {"samples": float("inf")}),
    "negative": json.dumps(results.as_json(a_run())).replace("13.5", "-13.5"),
    "endless": json.dumps(results.as_json(a_run())).replace("13.5", "Infinity"),
    "uneven": json.dumps(results.as_json(a_run())).replace('"client_ms": [7.5, ', '"client_ms": ['),
    "stranger": json.dumps(results.as_json(a_run()) | {"rows": []}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_holds_no_run_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(DAMAGE[kind])
    with pytest.raises(stored.BadFileError, match=r"bad\.json"):
        stored.load(path)


@pytest.mark.parametrize("kind", ["zero", "fifo", "large"])
def test_only_a_regular_file_of_some_size_is_read(kind: str, tmp_path: Path) -> None:
    path = {"zero": Path("/dev/zero")}.get(kind, tmp_path / kind)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as stream:
            stream.truncate(stored.LARGEST + 1)
    with pytest.raises(stored.BadFileError, match="larger than" if kind == "large" else "not a regular file"):
        stored.load(path)


def test_rows_and_targets_have_names_of_their_own() -> None:
    for scale in (rows.QUICK, rows.FULL):
        table = rows.table(scale)
        assert len({row.name for row in table}) == len(table)
        assert all(row.work or row.limit for row in table)
    assert {row.name for row in rows.table(rows.QUICK)} <= {row.name for row in rows.table(rows.FULL)}


def test_words_choose_rows_targets_and_placements() -> None:
    found = arguments.parse(
        ["--rows", "walk*,create", "--targets", "kernel,lamina", "--placement", "free", "--hogs"],
        rootless=False,
    )
    assert {row.name for row in found.rows} >= {"walk-cold", "walk-warm", "create"}
    assert [column.name for column in found.columns] == ["kernel", "lamina"]
    assert found.placements == ("free", "hogs")
    assert arguments.parse(["--quick"], rootless=True).placements == ("pinned",)


def test_a_peer_that_is_missing_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    run = Run({}, ["pinned"], 1, [], [])
    plan = sampling.Plan([], [columns.table(rootless=False)["fuse-overlayfs"]], ["pinned"], 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "build", lambda: tmp_path / "work")
        left = sampling.prepare(plan, Bed(tmp_path), run, lambda *_: None)
    assert not left.columns
    assert run.left_out == ["fuse-overlayfs: fuse-overlayfs is not installed"]


BAD = (
    ["--nonsense"],
    ["--rows", "nothing-such"],
    ["--rows", ""],
    ["--rows", ","],
    ["--targets", "zfs"],
    ["--targets", ""],
    ["--targets", "all,zfs"],
    ["--placement", ""],
    ["--placement", ","],
    ["--json", ""],
    ["--plots", ""],
    ["--compare", ""],
    ["--from", ""],
    ["--placement", "upside-down"],
    ["--samples", "0"],
    ["--samples", "many"],
    ["--samples", "9" * 5000],
    ["--compare", "/does/not/exist.json"],
    ["--from", "/dev/null"],
    ["--from", "/dev/zero"],
    ["--json", "/does/not/exist/x.json"],
    ["--plots", "/does/not/exist/x"],
    ["--plots", "/etc/passwd"],
    ["stray"],
)


@pytest.mark.parametrize("words", BAD, ids=lambda words: " ".join(words)[:40])
def test_bad_words_are_answered_in_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enclosure, "enter", lambda words: pytest.fail(f"a run begins: {words}"))
    status = command.main(words)
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("lamina bench: ")


def test_a_bad_word_is_the_programs_status() -> None:
    done = bench("--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lamina bench: unrecognized arguments: --nonsense\n"


def test_the_list_names_every_row_and_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list", "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for row in rows.table(rows.QUICK):
        assert any(line.startswith(f"  {row.name} ") for line in lines)
    marks = {line.split()[1] if line[0] == "*" else line.split()[0]: line[0] for line in lines}
    for name in columns.table(rootless=enclosure.rootless()):
        assert marks[name] == ("*" if name in columns.USUAL else " ")
    assert command.main(["--list", "--rows", "create", "--targets", "bare"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  create          names        create 5,000 x 1 KiB",
        "Targets (* is measured if none is named)",
        "  bare                   a directory without a union",
    ]


def test_nothing_is_measured_twice_unasked() -> None:
    for rootless in (False, True):
        for words in ([], ["--quick"]):
            found = arguments.parse(words, rootless=rootless).columns
            assert "lamina-unprivileged" not in {column.name for column in found}
            assert len({(column.kind, column.options, column.namespace) for column in found}) == len(found)
    named = arguments.parse(["--targets", "lamina-unprivileged"], rootless=False).columns
    assert [column.options for column in named] == [("passthrough=off",)]


def test_all_stands_for_every_target_beside_others() -> None:
    every = [column.name for column in arguments.parse(["--targets", "all"], rootless=False).columns]
    assert every == list(columns.table(rootless=False))
    both = arguments.parse(["--targets", "kernel,all"], rootless=False).columns
    assert [column.name for column in both] == every


def test_a_row_that_was_measured_elsewhere_is_named() -> None:
    run = a_run()
    lines = list(report.pages(run))
    assert [line for line in lines if line.startswith("measured ")] == [
        "measured pinned alone: create 10; walk; mount start-up"
    ]
    for name in ("create", "start"):
        run.cells |= {
            (row, "free", column): cell for (row, _, column), cell in run.cells.items() if row == name
        }
    lines = list(report.pages(run))
    at = lines.index("measured pinned alone: walk")
    assert lines.count("measured pinned alone: walk") == 1
    assert next(line for line in reversed(lines[:at]) if ", free: median" in line).startswith("time")


def bench(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lamina_benchmarks", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
