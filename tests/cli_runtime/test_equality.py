"""The tree of an image is the same however it is looked at: our mounts, the kernel's EROFS, podman, umoci.

Names, types, modes, owners, sizes, links, times, extended attributes and contents are compared.  With the
kernel all must be equal; where podman or umoci have ways of their own, by_podman() and by_umoci() say so.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from lamina_unionfs import check

from tests.cli_runtime.conftest import Lamina
from tests.integration.engines import Engine, engine
from tests.support import accounts
from tests.support.dump import FIELDS, assert_same, dump
from tests.support.samples import Sample, sample

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 110
AS_ROOT = pytest.mark.parametrize("lamina", ["root"], indirect=True)
AS_USER = pytest.mark.parametrize("lamina", ["user"], indirect=True)
NATIVE = Path("/usr/bin/fuse-overlayfs")
DUMP = """\
import sys
from pathlib import Path
from tests.support.dump import dump
sys.stdout.write(dump(Path(sys.argv[1]), fields=frozenset(sys.argv[2].split(","))))
"""
SQUASHED = FIELDS - {"owner"}
ORDER = ("mode", "owner", "size", "nlink", "mtime", "group", "xattrs", "digest")

pytestmark = [pytest.mark.root, pytest.mark.requires("fuse")]


@pytest.fixture(params=["tiny", pytest.param("a", marks=pytest.mark.slow)])
def chosen(request: pytest.FixtureRequest) -> Sample:
    return sample(request.param)


@contextlib.contextmanager
def mounted(lamina: Lamina, found: Sample, *flags: str) -> Iterator[Path]:
    place = lamina.top / "mnt"
    place.mkdir(exist_ok=True)
    lamina.ok("mount", *flags, found.reference, place)
    try:
        yield place
    finally:
        lamina.ok("unmount", place)


def load(lamina: Lamina, found: Sample) -> None:
    with found.archive.open("rb") as stream:
        lamina.ok("load", stdin=stream)


def plain(text: str, order: Sequence[str], blank: Callable[[dict[str, str]], Iterable[str]]) -> str:
    """Blank fields of lines where a peer is known to differ; extended attributes lose empty ones."""
    lines = []
    for line in text.splitlines():
        line_fields = dict(zip(("path", "type", *order), line.split(" "), strict=True))
        kept = [pair for pair in line_fields["xattrs"].split(",") if not pair.endswith("=")]
        line_fields["xattrs"] = ",".join(kept) or "-"  # Go takes an empty PAX record as a deletion
        line_fields |= dict.fromkeys(blank(line_fields), "?")
        lines.append(" ".join(line_fields.values()))
    return "\n".join(lines) + "\n"


def by_podman(text: str, made: set[str]) -> str:
    """Leave out what podman does in its own way: parents that no tar describes, times before 1970."""

    def blank(line: dict[str, str]) -> Iterable[str]:
        if line["path"] in made and line["type"] == "dir":
            return ("mode", "mtime")
        return ("mtime",) if line["mtime"].startswith("-") or line["mtime"] == "0" else ()

    return plain(text, ORDER, blank)


def by_umoci(text: str, order: Sequence[str] = ORDER) -> str:
    """Leave out what umoci does in its own way: times of directories, owners that a hard link's entry has."""

    def blank(line: dict[str, str]) -> Iterable[str]:
        if line["type"] == "dir":
            return ("mtime",)
        return ("owner",) if "owner" in order and line["group"] != "-" else ()

    return plain(text, order, blank)


def implied(found: Sample, text: str) -> set[str]:
    """Return the directories of a dump that one of the layers implies and does not describe."""
    import tarfile

    lacking = {"/"}
    for blob in found.blobs():
        with tarfile.open(blob, errors="surrogateescape") as tar:
            names = {"/" + member.name.removeprefix("./").strip("/") for member in tar}
        for name in names:
            parent = name.rpartition("/")[0]
            while parent:
                if parent not in names:
                    lacking.add(parent)
                parent = parent.rpartition("/")[0]
    return lacking & {line.split(" ")[0] for line in text.splitlines()}


def podman_tree(found: Sample, opened: Engine) -> str:
    opened.podman("load", "-q", "-i", str(found.archive))
    place = Path(opened.podman("image", "mount", found.reference).strip().splitlines()[-1])
    try:
        return dump(place, fields=FIELDS)
    finally:
        opened.podman("image", "unmount", found.reference)


@AS_ROOT
def test_podman_and_the_kernel_see_the_tree_that_we_show(lamina: Lamina, chosen: Sample) -> None:
    load(lamina, chosen)
    with mounted(lamina, chosen) as place:
        ours = dump(place, fields=FIELDS)
    with mounted(lamina, chosen, "--kernel") as place:
        assert_same(dump(place, fields=FIELDS), ours)
    made = implied(chosen, ours)
    with engine("root", NATIVE) as opened:
        assert_same(by_podman(ours, made), by_podman(podman_tree(chosen, opened), made))


@AS_ROOT
def test_umoci_unpacks_the_tree_that_we_show(lamina: Lamina, chosen: Sample) -> None:
    load(lamina, chosen)
    with mounted(lamina, chosen) as place:
        ours = dump(place, fields=FIELDS)
    bundle = lamina.top / "bundle"
    argv = ["umoci", "unpack", "--image", f"{chosen.layout}:{chosen.name}", str(bundle)]
    subprocess.run(argv, check=True, timeout=SECONDS, capture_output=True)
    assert_same(by_umoci(ours), by_umoci(dump(bundle / "rootfs", fields=FIELDS)))


def as_user(lamina: Lamina, prefix: list[str], script: str, *words: str) -> str:
    """Run a shell script as the user, in namespaces of his own if `prefix` says so."""
    settings = [f"{name}={text}" for name, text in lamina.environment.items()]
    argv = [*accounts.as_user(), "env", *settings, f"PYTHONPATH={ROOT}", "PYTHONDONTWRITEBYTECODE=1"]
    argv += [*prefix, "sh", "-ec", script, "sh", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=lamina.top)
    assert done.returncode == 0, done.stderr
    return done.stdout


@AS_USER
@pytest.mark.parametrize("prefix", [[], ["unshare", "-Urm"]], ids=["fusermount3", "userns"])
def test_a_plain_user_sees_the_same_tree(lamina: Lamina, chosen: Sample, prefix: list[str]) -> None:
    load(lamina, chosen)
    place = lamina.top / "mnt"
    place.mkdir()
    lamina.give(place)
    fields = ",".join(sorted(SQUASHED))
    command = str(Path(sys.executable).with_name("lamina"))
    script = '"$1" mount --squash "$2" "$3" >&2; "$4" -c "$5" "$3" "$6"; "$1" unmount "$3" >&2'
    words = (command, chosen.reference, str(place), sys.executable, DUMP, fields)
    theirs = as_user(lamina, prefix, script, *words)
    bundle = lamina.top / "bundle"
    argv = ["umoci", "unpack", "--image", f"{chosen.layout}:{chosen.name}", str(bundle)]
    subprocess.run(argv, check=True, timeout=SECONDS, capture_output=True)
    unpacked = dump(bundle / "rootfs", fields=SQUASHED)
    order = [name for name in ORDER if name in SQUASHED]
    assert_same(by_umoci(theirs, order), by_umoci(unpacked, order))


@AS_ROOT
def test_an_upper_over_an_image_becomes_plain(lamina: Lamina) -> None:
    found = sample("tiny")
    load(lamina, found)
    place = lamina.top / "mnt"
    place.mkdir()
    top = "srv/layer3"
    lamina.ok("mount", "--rw", "--upper", "work", "-o", "redirect_dir=on,metacopy=on", found.reference, place)
    os.rename(place / top / "part000", place / top / "moved")
    os.chmod(place / top / "part001/file00041", 0o600)
    os.unlink(place / top / "odd/setuid")
    (place / "srv/layer1/new").mkdir()
    after = dump(place, fields=FIELDS - {"mtime"})
    record = json.loads(lamina.ok("mount", "--format", "json"))
    lamina.ok("unmount", place)
    upper = next(lamina.root.glob("uppers/*/upper"))
    driver = str(Path(sys.executable).with_name("lamina-unionfs"))
    store = lamina.root / "store"
    (metadata,) = (store / "metadata").iterdir()
    options = (
        f"lowerdir={metadata},devicedir={store / 'devices'},upperdir={upper},workdir={upper.parent / 'work'}"
    )
    before = check.survey(str(upper))
    assert before["redirect"]
    assert before["metacopy"]
    subprocess.run([driver, "flatten", "-o", options], check=True, timeout=SECONDS, capture_output=True)
    found_after = check.survey(str(upper))
    assert not found_after["redirect"]
    assert not found_after["metacopy"]
    lamina.ok("mount", "--rw", "--upper", "work", found.reference, place)
    try:
        assert_same(dump(place, fields=FIELDS - {"mtime"}), after)
    finally:
        lamina.ok("unmount", place)
    assert record["Mode"] == "rw"
