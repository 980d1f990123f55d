"""Records that a disk or a stray program has damaged: nothing is lost by them, and each is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import Lamina


def records(lamina: Lamina) -> list[Path]:
    return sorted((lamina.root / "store/images/sha256").iterdir())


def without(path: Path, name: str) -> str:
    return json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != name})


@pytest.mark.parametrize("name", ["all", "id", "size", "created", "platform", "diffIDs", "manifests", "none"])
def test_nothing_is_collected_while_a_record_of_an_image_is_damaged(loaded: Lamina, name: str) -> None:
    victim, other = records(loaded)
    other_id = other.name[:12]
    victim.write_text({"all": "{}", "none": "not JSON"}.get(name) or without(victim, name))
    before = loaded.contents()
    done = loaded.run("images", "-q")
    assert (done.returncode, done.stdout) == (0, f"{other_id}\n")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("warning: ")
    assert str(victim) in done.stderr
    for words in (("store", "gc"), ("system", "prune", "-f"), ("store", "dedup", "-q")):
        done = loaded.run(*words)
        assert done.returncode == 1
        assert f"error: {victim}: damaged record of an image: " in done.stderr
        assert loaded.contents() == before


def test_a_record_of_another_image_is_damaged(loaded: Lamina) -> None:
    one, two = records(loaded)
    one.write_bytes(two.read_bytes())
    assert str(one) in loaded.refused("store", "gc")


def test_an_image_that_comes_again_mends_its_record(loaded: Lamina) -> None:
    for path in records(loaded):
        path.write_text("{}")
    loaded.ok("load", "-qi", loaded.top / "layout")
    assert len(loaded.ok("images", "-q").split()) == 2
    assert "Total reclaimed space: 0B\n" in loaded.ok("store", "gc")


def test_a_damaged_name_costs_nothing_but_itself(loaded: Lamina) -> None:
    victim = min((loaded.root / "store/references").iterdir())
    victim.write_text("{")
    before = loaded.contents()
    done = loaded.run("images", "-q")
    assert (done.returncode, len(done.stdout.split())) == (0, 2)
    assert done.stderr.count("\n") == 1
    assert str(victim) in done.stderr
    assert str(victim) in loaded.refused("image", "prune", "-f")  # its image is not one without a name
    loaded.ok("store", "gc")
    assert loaded.contents() == before
    done = loaded.run("store", "check", "-q")
    assert done.returncode == 4
    assert done.stdout.startswith(f"reference-damaged {victim.name}: ")


def test_files_that_are_no_records_stop_nothing(loaded: Lamina) -> None:
    (loaded.root / "store/images/sha256/junk").write_text("junk")
    before = loaded.contents()
    assert len(loaded.ok("images", "-q").split()) == 2
    loaded.ok("store", "gc")
    assert loaded.contents() == before
    done = loaded.run("store", "check")
    assert done.stdout == "stray images/sha256/junk: not named by a digest\n"
    assert done.stderr.splitlines() == [
        "store: Checking",
        "store: 1 problem",
        "error: the store has 1 problem",
    ]
    found = json.loads(loaded.run("store", "check", "-q", "--format", "json").stdout)
    assert found == {"kind": "stray", "what": "images/sha256/junk", "text": "not named by a digest"}
