"""Listings: docker's columns, formats, filters, short ids."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli_runtime.conftest import BASE, Lamina
from tests.support.images import CONFIG, LAYER, MANIFEST, Layout, digest


def test_images_has_dockers_columns(loaded: Lamina) -> None:
    head, *rows = loaded.ok("images").splitlines()
    assert re.fullmatch(r"REPOSITORY   TAG       IMAGE ID       CREATED +SIZE", head)
    for row in rows:
        assert re.fullmatch(r"(one|two) {10}latest    [0-9a-f]{12}   .*[0-9.]+kB", row)
    assert len(rows) == 2


def test_digests_and_no_trunc(loaded: Lamina) -> None:
    head, *rows = loaded.ok("images", "--digests", "--no-trunc").splitlines()
    assert head.split() == ["REPOSITORY", "TAG", "DIGEST", "IMAGE", "ID", "CREATED", "SIZE"]
    assert all(len(re.findall(r"sha256:[0-9a-f]{64}", row)) == 2 for row in rows)


def test_formats(loaded: Lamina) -> None:
    rows = [json.loads(line) for line in loaded.ok("images", "--format", "json").splitlines()]
    assert {row["Repository"] for row in rows} == {"one", "two"}
    assert sorted(rows[0]) == [
        "Containers", "CreatedAt", "CreatedSince", "Digest", "ID", "Repository", "SharedSize", "Size", "Tag",
        "UniqueSize", "VirtualSize",
    ]  # fmt: skip
    table = loaded.ok("images", "one", "--format", "table {{.Repository}}\\t{{.Tag}}").splitlines()
    assert table == ["REPOSITORY   TAG", "one          latest"]
    assert loaded.ok("images", "one", "--format", "{{upper .Repository}}:{{.Tag}}") == "ONE:latest\n"


def test_a_format_that_does_not_fit_is_refused(loaded: Lamina) -> None:
    loaded.refused("images", "--format", "{{.Nonsense}}", named="Nonsense")
    loaded.refused("images", "--format", "{{.ID", named="template")
    loaded.refused("inspect", "-f", "{{.Config.Nonsense}}", "one", named="Nonsense")


def test_filters(loaded: Lamina) -> None:
    names = ("--format", "{{.Repository}}")
    assert loaded.ok("images", "-f", "reference=o*", *names) == "one\n"
    assert loaded.ok("images", "tw?:lat*", *names) == "two\n"
    assert loaded.ok("images", "-f", "dangling=true", *names) == ""
    loaded.ok("tag", "one", "example.com/x/one:v1")
    assert loaded.ok("images", "example.com/*/one", *names) == "example.com/x/one\n"
    assert loaded.ok("images", "example.com/*", *names) == "", "no star crosses a slash"
    loaded.refused("images", "[", named="pattern")


def test_times_and_labels(lamina: Lamina) -> None:
    layout = Layout(lamina.top / "layout")
    for number, (created, labels) in enumerate(
        [("2024-01-01T00:00:00Z", {"a": "1"}), ("2024-06-01T00:00:00.123456789+02:00", {"a": "2", "b": ""})]
    ):
        config = {
            "architecture": "amd64", "os": "linux", "created": created, "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [digest(BASE)]},
        }  # fmt: skip
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": layout.blob(json.dumps(config).encode(), CONFIG), "layers": [layout.blob(BASE, LAYER)],
        }  # fmt: skip
        layout.name(
            layout.blob(json.dumps(manifest).encode(), MANIFEST), f"docker.io/library/i{number}:latest"
        )
    lamina.give(layout.top)
    lamina.ok("load", "-i", layout.top)
    names = ("--format", "{{.Repository}}")
    assert lamina.ok("images", *names) == "i1\ni0\n", "the newest first"
    assert lamina.ok("images", "-f", "label=a", *names) == "i1\ni0\n"
    assert lamina.ok("images", "-f", "label=a=2", "-f", "label=b", *names) == "i1\n"
    assert lamina.ok("images", "-f", "before=i1", *names) == "i0\n"
    assert lamina.ok("images", "-f", "since=i0", *names) == "i1\n"
    assert lamina.ok("images", "-f", "until=2024-03-01", *names) == "i0\n"
    assert lamina.ok("images", "i0", "--format", "{{.CreatedAt}}") == "2024-01-01 00:00:00 +0000 UTC\n"
    assert re.fullmatch(
        r"\d+ (months|years) ago\n", lamina.ok("images", "i0", "--format", "{{.CreatedSince}}")
    )


def test_ids(loaded: Lamina) -> None:
    full = loaded.ok("images", "-q", "--no-trunc", "two").strip()
    for word in (full, full[:19], full[7:], full[7:15]):
        assert loaded.ok("inspect", "-f", "{{.Id}}", word).strip() == full


def test_ambiguous_beginnings_are_refused(lamina: Lamina) -> None:
    layout = Layout(lamina.top / "layout")
    first: dict[str, dict[str, object]] = {}
    for number in range(17):  # of 17 ids two begin alike
        described = layout.image([BASE], variant=f"v{number}")
        first.setdefault(str(number), described)
        layout.name(described, f"docker.io/library/i{number}:latest")
    lamina.give(layout.top)
    lamina.ok("load", "-i", layout.top)
    ids = sorted(lamina.ok("images", "-q", "--no-trunc").split())
    digits = [one[7] for one in ids]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    stderr = lamina.refused("inspect", f"sha256:{twice}", named="ambiguous")
    assert ids[digits.index(twice)] in stderr


def test_history(loaded: Lamina) -> None:
    head, *rows = loaded.ok("history", "two").splitlines()
    assert head.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert [row.split()[0] for row in rows] == [loaded.ok("images", "-q", "two").strip(), "<missing>"]
    assert loaded.ok("history", "--human=false", "--format", "{{.Size}}", "one") == f"{len(BASE)}\n"
    assert loaded.ok("history", "-q", "two").splitlines()[1] == "<missing>"


def test_inspect(loaded: Lamina, layout: Layout) -> None:
    (found,) = json.loads(loaded.ok("inspect", "two"))
    config = json.loads((layout.top / "blobs" / found["Id"].replace(":", "/")).read_text())
    assert found["RootFS"]["Layers"] == config["rootfs"]["diff_ids"]
    assert found["RepoTags"] == ["two:latest"]
    assert found["Config"]["Cmd"] == ["/bin/sh"]
    assert loaded.ok("inspect", "-f", "{{range .RootFS.Layers}}{{println .}}{{end}}", "two").split() == [
        *config["rootfs"]["diff_ids"]
    ]


def test_inspect_goes_on_after_what_is_missing(loaded: Lamina) -> None:
    done = loaded.run("inspect", "one", "none", "two")
    assert done.returncode == 1
    assert [one["RepoTags"] for one in json.loads(done.stdout)] == [["one:latest"], ["two:latest"]]
    assert done.stderr == "error: no such object: none\n"


@pytest.mark.parametrize("name", ["UPPER", "a//b", "x:y:z", "-x", "a@sha256:12", "x" * 300, "a b"])
def test_names_that_are_none(loaded: Lamina, name: str) -> None:
    done = loaded.run("tag", "one", "--", name)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_control_characters_reach_no_terminal(lamina: Lamina) -> None:
    layout = Layout(lamina.top / "layout")
    config = {
        "architecture": "amd64", "os": "linux", "config": {}, "history": [{"created_by": "\x1b]0;owned\x07"}],
        "rootfs": {"type": "layers", "diff_ids": [digest(BASE)]},
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": layout.blob(json.dumps(config).encode(), CONFIG), "layers": [layout.blob(BASE, LAYER)],
    }  # fmt: skip
    layout.name(layout.blob(json.dumps(manifest).encode(), MANIFEST), "docker.io/library/evil:latest")
    lamina.give(layout.top)
    lamina.ok("load", "-i", layout.top)
    assert "\x1b" not in lamina.ok("history", "evil")


def test_a_platform_is_held_against_the_image(loaded: Lamina) -> None:
    """One image a name is here, so --platform can only agree with it or refuse."""
    for words in (["image", "inspect"], ["history", "-q"], ["save", "-o", "saved"], ["rmi"]):
        verb, *flags = words if words[0] != "image" else [" ".join(words)]
        call = [*verb.split(), *flags]
        stderr = loaded.refused(*call, "--platform", "linux/arm64", "one", named="does not provide")
        assert "hint: it is for linux/amd64" in stderr
        assert "(linux/arm64)" in stderr
        loaded.ok(*call, "--platform", "linux/amd64", "one")
    loaded.refused("image", "rm", "--platform", "linux/arm", "--platform", "linux/arm64", "two")
    loaded.ok("image", "rm", "--platform", "linux/arm", "--platform", "linux/amd64", "two")
    assert loaded.ok("images", "-q") == ""


def test_images_as_trees(lamina: Lamina) -> None:
    layout = Layout(lamina.top / "layout")
    here, there = layout.image([BASE]), layout.image([BASE], architecture="arm64")
    layout.name(layout.index([here, there]), "docker.io/library/both:1")
    layout.name(layout.image([BASE, BASE]), "docker.io/library/single:1")
    (layout.top / "blobs" / there["digest"].replace(":", "/")).unlink()
    lamina.give(layout.top)
    lamina.ok("load", "-qi", layout.top)
    lines = lamina.ok("images", "--tree", "both").splitlines()
    assert lines[0].split("  ")[0] == "IMAGE"
    assert lines[0].split()[1:] == ["ID", "DISK", "USAGE", "CONTENT", "SIZE", "EXTRA"]
    rows = [line.rsplit(maxsplit=3) for line in lines[1:]]
    assert [row[0] for row in rows] == ["both:1", "├─ linux/amd64", "└─ linux/arm64"]
    assert rows[1][1] == here["digest"].removeprefix("sha256:")[:12]
    assert rows[2][1:] == [there["digest"].removeprefix("sha256:")[:12], "0B", "0B"]
    assert rows[0][2:] == rows[1][2:] != rows[2][2:]
    assert len(lamina.ok("images", "--tree").splitlines()) == 6
    assert len(lamina.ok("images", "--tree", "-f", "reference=none").splitlines()) == 1
    mnt = lamina.top / "mnt"
    mnt.mkdir()
    lamina.give(mnt)
    lamina.ok("mount", "single:1", mnt)
    try:
        for name, used in (("single", True), ("both", False)):
            rows = lamina.ok("images", "--tree", name).splitlines()[1:]
            assert {line.endswith(" U") for line in rows} == {used}
    finally:
        lamina.ok("unmount", mnt)
