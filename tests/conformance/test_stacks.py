"""Stacks that need a mount of their own: many layers, odd places, remounts, read-only."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.check import eq, exists, fails, names, put, read
from tests.conformance.stage import Stage
from tests.support import capabilities, guard, loopfs, mounts, tree
from tests.support.dump import assert_on
from tests.support.realms import Realm
from tests.support.targets import TARGETS, Mounted, Target, mounted
from tests.support.tree import Layers

OURS = ("lamina-native", "lamina-passthrough", "lamina-pyfuse3", "lamina-userns", "lamina-fusermount")
ALL = ("kernel-overlay", "kernel-userns", *OURS)
ROOT = ("kernel-overlay", "lamina-native", "lamina-pyfuse3")


class Bench:
    """A target with a workspace of its own."""

    def __init__(self, target: Target, realm: Realm, top: Path) -> None:
        self.target = target
        self.realm = realm
        self.top = top
        self.call = realm.agent.call
        self._mounts = 0

    def tree(self, *, lower: list[tree.Spec], upper: tree.Spec | None = None) -> Layers:
        """Build layers in the realm."""
        return self.call(tree.tree, self.top, lower=lower, upper=upper, prefix=self.realm.kind.dialect)

    def made(self, name: str) -> Path:
        """Make a directory in the realm."""
        self.call(os.mkdir, self.top / name)
        return self.top / name

    @contextlib.contextmanager
    def mount(
        self, layers: Layers, *options: str, at: Path | None = None, cwd: Path | None = None
    ) -> Iterator[Mounted]:
        """Mount the layers."""
        self._mounts += 1
        where = at or self.made(f"merged{self._mounts}")
        with mounted(self.target, layers, where, self.realm, options=options, cwd=cwd) as union:
            yield union


@pytest.fixture
def bench(stage: Stage, target: str, request: pytest.FixtureRequest) -> Bench:
    """Give the test a workspace in its target's realm."""
    chosen = TARGETS[target]
    realm = stage.realm(chosen.realm)
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return Bench(chosen, realm, realm.directory(name))


# ---- many layers ----


def _see_many(top: Path, count: int) -> None:
    eq(len(names(top / "d")), count)
    for number in (0, 1, count // 2, count - 1):
        eq(read(top / "d" / f"n{number}"), str(number).encode())
    eq(read(top / "all"), b"0")
    put(top / "d" / "new", "n")
    os.unlink(top / "d" / f"n{count - 1}")
    (top / "d" / f"n{count // 2}").write_text("changed")
    eq(len(names(top / "d")), count)
    eq(read(top / "d" / f"n{count // 2}"), b"changed")


def _build_many(top: Path, count: int) -> None:
    for number in range(count):
        tree.build(top / str(number), {f"d/n{number}": str(number), "all": str(number)})
    for name in ("u", "w"):
        (top / name).mkdir()


@pytest.mark.parametrize("count", [100, 500])
@pytest.mark.parametrize("target", ALL)
def test_many_lowers_merge(bench: Bench, count: int) -> None:
    """500 is the kernel's limit; short relative paths keep within mount(2)'s page."""
    bench.call(_build_many, bench.top, count)
    lowers = tuple(Path(str(number)) for number in range(count))
    with bench.mount(Layers(lowers, (Path("u"),), (Path("w"),)), cwd=bench.top) as union:
        bench.call(_see_many, union.path, count)


# ---- equal inode numbers ----


def _same_inodes(union: Path, parts: list[Path]) -> None:
    for one in ("d", "own"):
        inodes = {os.lstat(part / (one if one == "d" else f"own-{part.name}")).st_ino for part in parts}
        eq(len(inodes), 1, f"the test needs equal inode numbers of {one}")
    seen = {}
    for where, dirs, files in os.walk(union):
        for name in (*dirs, *files):
            path = Path(where) / name
            seen[path] = os.lstat(path).st_ino
    eq(len(set(seen.values())), len(seen))
    for part in parts:
        eq(read(union / "d" / f"from-{part.name}"), part.name.encode())
        eq(names(union / f"own-{part.name}"), ["x"])
        eq(read(union / f"own-{part.name}" / "x"), part.name.encode() * 100)


@pytest.mark.parametrize("target", ROOT)
def test_equal_inode_numbers_on_two_file_systems_stay_apart(bench: Bench) -> None:
    """Two fresh tmpfs give the same numbers to the same steps."""
    with contextlib.ExitStack() as stack:
        parts = []
        for name in ("p1", "p2"):
            fs = stack.enter_context(loopfs.filesystem("tmpfs", bench.top / f"fs-{name}"))
            bench.call(
                tree.build,
                fs / name,
                {"d/": tree.directory(), f"d/from-{name}": name, f"own-{name}/x": name * 100},
            )
            parts.append(fs / name)
        layers = Layers(tuple(parts), (bench.made("upper"),), (bench.made("work"),))
        with bench.mount(layers) as union:
            bench.call(_same_inodes, union.path, parts)


# ---- an upper with its own mind about groups ----


def _copy_each(union: Path) -> None:
    (union / "f").write_text("changed")
    os.chmod(union / "d" / "f", 0o600)
    os.chmod(union / "link", 0o777, follow_symlinks=True)
    os.lchown(union / "link", 0, 0)


@pytest.mark.parametrize("target", ROOT)
def test_copies_keep_their_group_where_directories_give_theirs(bench: Bench) -> None:
    """With the option grpid a new object has its directory's group, whoever makes it."""
    with loopfs.filesystem("ext4", bench.top / "fs", options="loop,grpid") as fs:
        spec: tree.Tree = {"f": "lower", "d/": tree.directory(), "d/f": "lower", "link": tree.symlink("f")}
        layers = Layers(bench.tree(lower=[spec]).lowers, (fs / "u",), (fs / "w",))
        for part in (*layers.uppers, *layers.works):
            part.mkdir()
            os.chown(part, 0, 1000)
        with bench.mount(layers) as union:
            bench.call(_copy_each, union.path)
        for name in ("f", "d", "d/f", "link"):
            info = os.lstat(fs / "u" / name)
            eq((info.st_uid, info.st_gid), (0, 0), name)


# ---- odd places ----


def _use(top: Path) -> None:
    eq(read(top / "f"), b"lower")
    (top / "f").write_text("changed")
    put(top / "new", "n")
    os.symlink(top / "f", top / "link")
    eq(read(top / "link"), b"changed")
    with fails(errno.EPERM, errno.EOPNOTSUPP):
        os.setxattr(top / "link", "user.x", b"x", follow_symlinks=False)
    assert {"f", "new", "link"} <= set(names(top))
    os.unlink(top / "link")


@pytest.mark.parametrize("target", ALL)
def test_lower_under_the_mount_point_works(bench: Bench) -> None:
    """A server that walks paths would wait for itself."""
    layers = bench.tree(lower=[{"f": "lower"}], upper={})
    with bench.mount(layers, at=bench.top) as union:
        bench.call(_use, union.path)


@pytest.mark.parametrize("target", ALL)
def test_mount_over_its_own_lower_works(bench: Bench) -> None:
    """The lower is then reached by the server's descriptor only."""
    layers = bench.tree(lower=[{"f": "lower"}], upper={})
    with bench.mount(layers, at=layers.lowers[0]) as union:
        bench.call(_use, union.path)
    bench.call(eq, bench.call(names, layers.lowers[0]), ["f"])


def _through(top: Path) -> None:
    eq(names(top), ["abs", "up"])
    for name in ("abs", "up"):
        os.lstat(top / name)
        os.chmod(top, 0o755)
    os.rename(top / "abs", top / "moved")
    eq(names(top), ["moved", "up"])


@pytest.mark.parametrize("target", ALL)
def test_symlinks_into_the_mount_are_not_followed_by_the_server(bench: Bench) -> None:
    """Renaming or copying up such a link must not resolve it."""
    at = bench.made("here")
    lower = {"abs": tree.symlink(str(at / "up")), "up": tree.symlink("../here/abs")}
    with bench.mount(bench.tree(lower=[lower], upper={}), at=at) as union:
        bench.call(_through, union.path)


# ---- remounts ----


def _inodes(top: Path) -> dict[str, int]:
    found = {}
    for where, dirs, files in os.walk(top):
        for name in (*dirs, *files):
            path = Path(where) / name
            found[str(path.relative_to(top))] = os.lstat(path).st_ino
    return found


def _shuffle(top: Path) -> None:
    (top / "f").write_text("changed")
    os.chmod(top / "meta", 0o600)
    os.chmod(top / "d", 0o700)
    put(top / "new", "n")
    os.unlink(top / "gone")
    with contextlib.suppress(OSError):  # EXDEV in a kernel without redirects
        os.rename(top / "move", top / "moved")


@pytest.mark.parametrize("target", ALL)
def test_content_and_inode_numbers_survive_a_remount(bench: Bench) -> None:
    """What was seen before unmounting is seen after mounting again."""
    lower: tree.Spec = {
        "f": "lower",
        "meta": "m" * 100_000,
        "gone": "g",
        "d/x": "x",
        "move/y": "y",
        "l1": "link",
        "l2": tree.hardlink("l1"),
    }
    layers = bench.tree(lower=[lower], upper={"u": "upper"})
    with bench.mount(layers) as union:
        bench.call(_inodes, union.path)
        first = bench.call(_inodes, union.path)
        bench.call(_shuffle, union.path)
        second = bench.call(_inodes, union.path)
    with bench.mount(layers) as union:
        third = bench.call(_inodes, union.path)
        eq(bench.call(read, union.path / "f"), b"changed")
        eq(bench.call(read, union.path / "meta"), b"m" * 100_000)
    eq(third, second)
    for name in ("f", "meta", "d", "d/x", "l1", "u"):
        eq(second[name], first[name], name)


# ---- read-only ----


def _refuse(top: Path) -> None:
    eq((read(top / "f"), names(top / "d")), (b"top", ["x", "y"]))
    for change in (
        lambda: put(top / "new"),
        lambda: os.mkdir(top / "n"),
        lambda: os.unlink(top / "f"),
        lambda: os.rmdir(top / "d"),
        lambda: os.rename(top / "f", top / "g"),
        lambda: os.link(top / "f", top / "g"),
        lambda: os.symlink("x", top / "g"),
        lambda: os.mkfifo(top / "g"),
        lambda: os.chmod(top / "f", 0o600),
        lambda: os.utime(top / "f"),
        lambda: os.truncate(top / "f", 0),
        lambda: os.setxattr(top / "f", "user.x", b"x"),
        lambda: os.open(top / "f", os.O_WRONLY),
        lambda: os.open(top / "f", os.O_RDONLY | os.O_TRUNC),
        lambda: os.open(top / "d", os.O_TMPFILE | os.O_RDWR),
    ):
        with fails(errno.EROFS):
            change()
    os.close(os.open(top / "f", os.O_RDONLY))
    assert not os.access(top / "f", os.W_OK)


@pytest.mark.parametrize("target", ALL)
def test_mount_without_upper_is_read_only(bench: Bench) -> None:
    """Every change is EROFS, reading is not."""
    lower: list[tree.Spec] = [
        {"f": "top", "d/x": "1"},
        {"f": "bottom", "d/y": "2", "gone/": tree.directory()},
    ]
    with bench.mount(bench.tree(lower=lower)) as union:
        bench.call(_refuse, union.path)


@pytest.mark.parametrize("target", ALL)
def test_ro_option_makes_it_read_only(bench: Bench) -> None:
    """An upper that is there is shown but not changed."""
    layers = bench.tree(lower=[{"f": "bottom", "d/x": "1"}], upper={"f": "top", "d/y": "2"})
    with bench.mount(layers, "ro") as union:
        bench.call(_refuse, union.path)


# ---- many uppers ----


def _two_uppers(top: Path, uppers: tuple[Path, ...]) -> None:
    first, second = uppers
    eq(names(top), ["both", "f", "low", "one", "two"])
    eq((read(top / "both"), read(top / "two")), (b"first", b"second"))
    (top / "two").write_text("changed in place")
    eq(read(second / "two"), b"changed in place")
    assert_on(first, "two", "absent")
    put(top / "new", "n")
    assert_on(first, "new", "file")
    (top / "low").write_text("copied")
    assert_on(first, "low", "file")
    os.unlink(top / "both")
    assert not exists(top / "both")
    os.unlink(top / "two")
    assert not exists(top / "two")
    os.rename(top / "f", top / "g")
    eq((names(top), read(top / "g")), (["g", "low", "new", "one"], b"f"))


@pytest.mark.parametrize("target", OURS)
def test_two_uppers_change_objects_where_they_live(bench: Bench) -> None:
    """The first is the top and takes what is new; the second is changed in place."""
    layers = bench.tree(lower=[{"low": "low", "f": "f"}], upper={"one": "1", "both": "first"})
    second = bench.top / "upper2"
    bench.call(tree.build, second, {"two": "second", "both": "second"})
    both = Layers(layers.lowers, (layers.upper, second), (*layers.works, bench.made("work2")))
    with bench.mount(both) as union:
        bench.call(_two_uppers, union.path, both.uppers)


def _create_beside(top: Path, uppers: tuple[Path, ...]) -> None:
    first, second = uppers
    put(top / "d" / "new", "n")
    os.mkdir(top / "d" / "sub")
    put(top / "d" / "sub" / "deep", "d")
    put(top / "plain", "p")
    assert_on(second, "d/new", "file")
    assert_on(second, "d/sub/deep", "file")
    assert_on(first, "plain", "file")
    assert_on(first, "d", "absent")
    os.rename(top / "d" / "new", top / "d" / "sub" / "moved")
    assert_on(second, "d/sub/moved", "file")
    os.rename(top / "d" / "x", top / "out")
    eq((names(top), read(top / "out")), (["d", "low", "out", "plain"], b"x"))
    os.unlink(top / "d" / "sub" / "deep")
    eq(names(top / "d" / "sub"), ["moved"])


@pytest.mark.parametrize("target", OURS)
def test_path_preserving_creates_beside_what_is_there(bench: Bench) -> None:
    """New names go to the topmost upper that has their directory."""
    layers = bench.tree(lower=[{"low": "low"}], upper={})
    second = bench.top / "upper2"
    bench.call(tree.build, second, {"d/": tree.directory(), "d/x": "x"})
    both = Layers(layers.lowers, (layers.upper, second), (*layers.works, bench.made("work2")))
    with bench.mount(both, "create_policy=path-preserving") as union:
        bench.call(_create_beside, union.path, both.uppers)


# ---- the command itself ----


@pytest.mark.parametrize("target", ["lamina-native", "lamina-userns", "lamina-fusermount"])
def test_command_returns_when_the_mount_is_usable_and_leaves_with_it(bench: Bench) -> None:
    """The form that podman uses: no -f, an empty option, relative paths, trailing comma."""
    bench.tree(lower=[{"f": "lower"}], upper={})
    at = bench.made("merged")
    options = "lowerdir=lower0,upperdir=upper,workdir=work,,volatile,"
    command = str(capabilities.driver())
    bench.realm.live.append(at)
    try:
        done = bench.realm.run([command, "-o", options, str(at)], cwd=bench.top)
        assert done.returncode == 0, done.stderr
        bench.call(_use, at)
    finally:
        plain = bench.realm.kind.name == "user"
        bench.realm.run(["fusermount3", "-u", str(at)] if plain else ["umount", str(at)])
        bench.realm.live.remove(at)
    assert mounts.at(at, bench.realm.agent.pid) is None
    end = 50
    while guard.processes(at) and end:
        end -= 1
        subprocess.run(["sleep", "0.1"], check=True)
    eq(guard.processes(at), [])


@pytest.mark.parametrize("target", ["lamina-native", "lamina-fusermount"])
@pytest.mark.parametrize(
    "options",
    [
        "lowerdir=missing,upperdir=upper,workdir=work",
        "lowerdir=lower0,upperdir=missing,workdir=work",
        "lowerdir=lower0,upperdir=upper",
        "lowerdir=lower0,upperdir=upper,workdir=work,nonsense=1",
        "upperdir=upper,workdir=upper/work",
    ],
)
def test_impossible_requests_fail_in_one_line_and_mount_nothing(bench: Bench, options: str) -> None:
    """A caller gets a status and a reason."""
    bench.tree(lower=[{"f": "lower"}], upper={})
    at = bench.made("merged")
    done = bench.realm.run([str(capabilities.driver()), "-o", options, str(at)], cwd=bench.top)
    entry = mounts.at(at, bench.realm.agent.pid)
    if entry is not None:
        bench.realm.run(["umount", "-l", str(at)])
    assert entry is None
    assert done.returncode != 0
    eq(len(done.stderr.strip().splitlines()), 1, done.stderr)
