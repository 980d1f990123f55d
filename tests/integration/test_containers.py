"""podman and buildah, root and rootless, with our command as mount program."""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import rootfs
from tests.integration.engines import Engine, engine
from tests.support import accounts, capabilities

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(120),
]

ACCOUNTS = ("root", "rootless")
DOCKERFILE = """\
FROM localhost/base:1
RUN echo one > /one && ln /one /uno && mkdir -p /a/b && echo two > /a/b/two && chown -R 5:6 /a
RUN chmod 700 /bin && rm /opt/old/b
RUN rm -rf /opt/old && mkdir /opt/old && echo new > /opt/old/new && mv /a /moved
ENV NAME=value
RUN test "$(stat -c %h /one)" = 2 && test "$(cat /moved/b/two)" = two && test ! -e /opt/old/a
"""
EXPECTED = "5:6\n700\nnew\ntwo\n2\n"
LOOK = "stat -c %u:%g /moved/b; stat -c %a /bin; ls /opt/old; cat /moved/b/two; stat -c %h /one"


@pytest.fixture(scope="module", params=ACCOUNTS)
def storage(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A storage over our command that holds the image base:1; at the end nobody uses it."""
    if request.param == "rootless":
        reason = capabilities.missing(("userns", "subids"))
        if reason is not None:
            pytest.skip(reason)
    program = capabilities.driver()
    if program is None:
        pytest.fail("lamina-unionfs is not installed: make setup")
    with engine(request.param, program) as opened:
        _import(opened)
        yield opened
        opened.podman("rm", "--all", "--force")
        opened.buildah("rm", "--all")
        assert opened.mounted() == []
        opened.podman("rmi", "--all", "--force")
        left = [line for line in opened.servers() if "unionfs" in line]
        assert left == []


def _import(opened: Engine) -> None:
    rootfs.busybox(opened.top / "tmp" / "rootfs.tar")
    shutil.chown(opened.top / "tmp" / "rootfs.tar", *(accounts.ids() if opened.prefix else (0, 0)))
    opened.podman("import", str(opened.top / "tmp" / "rootfs.tar"), "base:1")


def _context(opened: Engine) -> Path:
    folder = opened.top / "context"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.requires("fuse_overlayfs", "userns")
def test_the_harness_works_with_fuse_overlayfs(account: str) -> None:
    program = Path(shutil.which("fuse-overlayfs") or "")
    with engine(account, program) as opened:
        _import(opened)
        assert opened.shell("base:1", "rm /opt/old/a; ls /opt/old", "--rm") == "b\n"
        assert opened.mounted() == []


def test_run_sees_the_image(storage: Engine) -> None:
    assert storage.shell("base:1", "cat /opt/old/a; cat /etc/group", "--rm") == "a\nroot:x:0:\n"


def test_a_container_keeps_its_changes_over_stop_and_start(storage: Engine) -> None:
    script = "echo x >> /opt/old/a; mkdir -p /fresh; cat /opt/old/a"
    assert storage.shell("base:1", script, "--name=kept") == "a\nx\n"
    assert storage.podman("start", "--attach", "kept") == "a\nx\nx\n"
    assert "A /fresh" in storage.podman("diff", "kept")
    storage.podman("rm", "kept")


def test_diff_names_what_changed_and_nothing_else(storage: Engine) -> None:
    script = "echo x > /new; rm /opt/old/a; echo y >> /opt/old/b; mkdir /opt/dir"
    storage.shell("base:1", script, "--name=differs")
    lines = set(storage.podman("diff", "differs").split("\n")) - {""}
    expected = {"A /new", "C /opt", "C /opt/old", "D /opt/old/a", "C /opt/old/b", "A /opt/dir"}
    assert expected <= lines
    assert {line for line in lines - expected if line != "C /etc"} == set()
    storage.podman("rm", "differs")


def test_commit_save_and_load_carry_the_change(storage: Engine) -> None:
    script = "echo x > /new; rm /opt/old/a; chmod 711 /bin; mv /opt/old /opt/moved"
    storage.shell("base:1", script, "--name=committed")
    storage.podman("commit", "committed", "changed:1")
    archive = storage.top / "tmp" / "changed.tar"
    storage.podman("save", "--format=docker-archive", "--output", str(archive), "changed:1")
    assert _top_layer(archive) >= {"new", "bin", "opt/.wh.old", "opt/moved", "opt/moved/b"}
    storage.podman("rm", "committed")
    storage.podman("rmi", "changed:1")
    storage.podman("load", "--input", str(archive))
    look = "cat /new; stat -c %a /bin; ls /opt /opt/moved"
    assert storage.shell("localhost/changed:1", look, "--rm") == "x\n711\n/opt:\nmoved\n\n/opt/moved:\nb\n"


def _top_layer(archive: Path) -> set[str]:
    """Return the names in the last layer of a docker archive (the smaller of the two)."""
    with tarfile.open(archive) as outer:
        layers = [m for m in outer.getmembers() if m.isfile() and m.name.endswith(".tar")]
        file = outer.extractfile(min(layers, key=lambda member: member.size))
        assert file is not None
        with tarfile.open(fileobj=file) as layer:
            return {name.removeprefix("./").rstrip("/") for name in layer.getnames()}


@pytest.mark.parametrize("isolation", ["oci", "chroot"])
def test_podman_build_with_several_run_steps(storage: Engine, isolation: str) -> None:
    words = ["--isolation", isolation, "--network", "none" if isolation == "oci" else "host"]
    storage.podman("build", *words, "--no-cache", "--tag", f"built-{isolation}:1", str(_context(storage)))
    assert storage.shell(f"localhost/built-{isolation}:1", LOOK, "--rm") == EXPECTED


def test_buildah_bud_in_one_layer_and_in_layers(storage: Engine) -> None:
    for number, layers in enumerate(("true", "false")):
        words = ["--isolation", "chroot", f"--layers={layers}", "--no-cache", "--tag", f"bud:{number}"]
        storage.buildah("bud", *words, str(_context(storage)))
        assert storage.shell(f"localhost/bud:{number}", LOOK, "--rm") == EXPECTED


def test_buildah_by_single_steps(storage: Engine) -> None:
    name = storage.buildah("from", "--name", "working", "localhost/base:1").split()[-1]
    storage.buildah("run", "--isolation", "chroot", name, "sh", "-ec", "mv /opt/old /opt/new; echo z > /z")
    storage.buildah("copy", name, str(_context(storage) / "Dockerfile"), "/opt/new/")
    storage.buildah("commit", name, "stepped:1")
    storage.buildah("rm", name)
    assert storage.shell("localhost/stepped:1", "ls /opt /opt/new", "--rm").split() == [
        *("/opt:", "new", "/opt/new:", "Dockerfile", "a", "b")
    ]


def test_two_containers_of_one_image_at_once(storage: Engine) -> None:
    for name in ("first", "second"):
        storage.podman("run", "--detach", "--network=none", "--name", name, "base:1", "sleep", "60")
    storage.podman("exec", "first", "sh", "-c", "echo 1 > /opt/old/a")
    assert storage.podman("exec", "second", "cat", "/opt/old/a") == "a\n"
    assert storage.podman("exec", "first", "cat", "/opt/old/a") == "1\n"
    storage.podman("rm", "--force", "--time=0", "first", "second")
