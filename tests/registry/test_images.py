"""Images from and to Debian's docker-registry, with skopeo, podman, buildah and umoci on the other side."""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamina_runtime.errors import LaminaError, NotFoundError
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.platform import Platform
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.configuration import Configuration, Mirror, Rule
from lamina_runtime.registry.failures import BlockedError, MissingError
from lamina_runtime.registry.pull import pull_all_tags
from lamina_runtime.store.store import Store

from tests.registry.harness import options, run
from tests.registry.world import (
    AMD64,
    TARS,
    Log,
    check_layers,
    empty,
    give,
    make_layout,
    name_as,
    parsed,
    raw,
    take,
)
from tests.support.images import Layout, digest, skopeo_push
from tests.support.images import run as tool
from tests.support.registries import Registry, docker_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    top = tmp_path_factory.mktemp("registry")
    layout = make_layout(top / "layout")
    with docker_registry(top / "registry") as running:
        for tag in ("one", "many", "plain"):
            skopeo_push(layout.top, tag, f"{running.host}/team/app:{tag}")
        yield running


@pytest.fixture
def containers() -> Iterator[list[str]]:
    """Options that give podman and buildah storage of their own; podman wants short paths."""
    top = tempfile.mkdtemp(prefix="lr-")
    yield ["--root", f"{top}/root", "--runroot", f"{top}/run", "--storage-driver", "vfs"]
    shutil.rmtree(top)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def test_an_image_comes_whole(registry: Registry, store: Store, tmp_path: Path) -> None:
    log = Log()
    name = f"{registry.host}/team/app:one"
    pulled = take(store, name, tmp_path, log=log)
    check_layers(store, pulled, TARS)
    assert pulled.status == f"Status: Downloaded newer image for {name}"
    assert str(pulled.digest) == digest(raw(name))
    assert pulled.image.manifest.raw == raw(name)
    assert log.texts() == ["Downloading"] * 3 + ["Pull complete"] * 3
    assert log.sums == log.totals
    named = store.references.get(Reference.parse(name))
    assert named
    assert (named.image_id, named.index) == (pulled.image.id, None)


def test_an_index_gives_the_platform(registry: Registry, store: Store, tmp_path: Path) -> None:
    name = f"{registry.host}/team/app:many"
    pulled = take(store, name, tmp_path)
    check_layers(store, pulled, TARS)
    assert str(pulled.digest) == digest(raw(name))
    named = store.references.get(Reference.parse(name))
    assert named
    assert named.index
    assert named.index.digest == pulled.digest
    other = take(store, name, tmp_path, platform=Platform.parse("linux/arm64/v8"))
    assert other.new
    assert other.image.id != pulled.image.id
    with pytest.raises(LaminaError, match="no image for linux/s390x"):
        take(store, name, tmp_path, platform=Platform.parse("linux/s390x"))


def test_what_is_here_is_not_fetched(registry: Registry, store: Store, tmp_path: Path) -> None:
    name = f"{registry.host}/team/app:many"
    take(store, name, tmp_path)
    before, log = len(registry.requests()), Log()
    again = take(store, name, tmp_path, log=log)
    assert again.status == f"Status: Image is up to date for {name}"
    asked = [line.split()[0] for line in registry.requests()[before:] if " /v2/ " not in line]
    assert asked == ["HEAD"]
    assert log.texts() == ["Already exists"] * 3


def test_layers_of_another_image_are_not_fetched(registry: Registry, store: Store, tmp_path: Path) -> None:
    take(store, f"{registry.host}/team/app:one", tmp_path)
    log = Log()
    plain = take(store, f"{registry.host}/team/app:plain", tmp_path, log=log)
    check_layers(store, plain, TARS)
    assert log.texts() == ["Already exists"] * 3


def test_by_digest(registry: Registry, store: Store, tmp_path: Path) -> None:
    wanted = digest(raw(f"{registry.host}/team/app:one"))
    for name in (f"{registry.host}/team/app@{wanted}", f"{registry.host}/team/app:nonsense@{wanted}"):
        pulled = take(store, name, tmp_path)
        assert str(pulled.digest) == wanted
        assert [str(named.reference) for named in store.references.list()] == [
            f"{registry.host}/team/app@{wanted}"
        ]


def test_all_tags(registry: Registry, store: Store, tmp_path: Path) -> None:
    reference = Reference.parse(f"{registry.host}/team/app")
    found = run(lambda: pull_all_tags(store, reference, platform=AMD64, options=options(tmp_path)))
    assert [one.reference.tag for one in found] == ["many", "one", "plain"]
    assert len(store.references.list()) == 3


def test_what_does_not_exist(registry: Registry, store: Store, tmp_path: Path) -> None:
    for name, status in ((f"{registry.host}/team/app:none", 404), (f"{registry.host}/no/such", 404)):
        with pytest.raises(MissingError, match="not found") as caught:
            take(store, name, tmp_path)
        assert (caught.value.status, caught.value.exit_code) == (status, 3)
    assert empty(store)
    with pytest.raises(NotFoundError, match="no such image"):
        give(store, f"{registry.host}/team/app:none", tmp_path)


@pytest.mark.parametrize("tag", ["one", "many"])
def test_there_and_back_is_the_same(registry: Registry, store: Store, tmp_path: Path, tag: str) -> None:
    origin = f"{registry.host}/team/app:{tag}"
    with docker_registry(tmp_path / "other") as other:
        pulled = take(store, origin, tmp_path)
        if tag == "many":
            take(store, origin, tmp_path, platform=Platform.parse("linux/arm64/v8"))
            pulled = take(store, origin, tmp_path)
        target = f"{other.host}/copy/app:{tag}"
        name_as(store, pulled, target)
        log = Log()
        pushed = give(store, target, tmp_path, log=log)
        assert raw(target) == raw(origin)
        assert str(pushed.digest) == digest(raw(origin))
        assert pushed.status.endswith(f"size: {len(raw(origin))}")
        assert set(log.texts()) == {"Pushing", "Pushed"}
        assert log.sums == log.totals
        tool("skopeo", "copy", "--insecure-policy", "--all", "--src-tls-verify=false", f"docker://{target}",
             f"oci:{tmp_path}/back:x")  # fmt: skip
        again = Log()
        give(store, target, tmp_path, log=again)
        assert set(again.texts()) == {"Pushing", "Layer already exists"}


def test_an_incomplete_index_is_pushed_as_its_manifest(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    pulled = take(store, f"{registry.host}/team/app:many", tmp_path)
    target = f"{registry.host}/copy/incomplete:x"
    name_as(store, pulled, target)
    give(store, target, tmp_path)
    assert raw(target) == pulled.image.manifest.raw


def test_blobs_are_mounted_from_where_they_were_pulled(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    pulled = take(store, f"{registry.host}/team/app:one", tmp_path)
    target, log = f"{registry.host}/copy/mounted:x", Log()
    name_as(store, pulled, target)
    before = len(registry.requests())
    give(store, target, tmp_path, log=log)
    assert log.texts() == ["Mounted from team/app"] * 4 + ["Pushing"] * 4
    assert not [line for line in registry.requests()[before:] if line.startswith("PATCH")]


@pytest.mark.parametrize("compression", ["gzip", "zstd", None])
def test_plain_layers_are_compressed_on_the_way(
    registry: Registry, store: Store, tmp_path: Path, compression: str | None
) -> None:
    pulled = take(store, f"{registry.host}/team/app:plain", tmp_path)
    target = f"{registry.host}/copy/plain:{compression}".lower()
    name_as(store, pulled, target)
    pushed = give(store, target, tmp_path, compression=compression)
    kinds = {entry["mediaType"].rpartition(".")[2] for entry in parsed(raw(target))["layers"]}
    assert kinds == {f"tar+{compression}" if compression else "tar"}
    assert str(pushed.digest) == digest(raw(target))
    named = store.references.get(Reference.parse(target))
    assert named
    assert named.manifest.digest == pushed.digest
    fresh = Store.open(tmp_path / "fresh")
    back = take(fresh, target, tmp_path)
    assert back.image.id == pulled.image.id
    check_layers(fresh, back, TARS)
    if compression:
        assert give(store, target, tmp_path).digest == pushed.digest  # the same each time


def test_podman_takes_what_we_pushed(
    registry: Registry, store: Store, tmp_path: Path, containers: list[str]
) -> None:
    pulled = take(store, f"{registry.host}/team/app:plain", tmp_path)
    target = f"{registry.host}/for/podman:x"
    name_as(store, pulled, target)
    pushed = give(store, target, tmp_path)
    podman = ["podman", *containers]
    identity = tool(*podman, "pull", "--quiet", "--tls-verify=false", target).strip()
    assert identity == pulled.image.id.hex
    digests = tool(*podman, "image", "inspect", "--format", "{{json .RepoDigests}}", identity)
    assert str(pushed.digest) in digests


def rootfs(top: Path) -> Path:
    (top / "bin").mkdir(parents=True)
    (top / "bin/tool").write_text("#!/bin/sh\n")
    (top / "bin/link").symlink_to("tool")
    with tarfile.open(top.with_suffix(".tar"), "w") as archive:
        archive.add(top, arcname=".")
    return top.with_suffix(".tar")


@pytest.mark.root
@pytest.mark.parametrize("maker", ["podman", "buildah", "umoci"])
def test_images_of_other_tools(
    registry: Registry, store: Store, tmp_path: Path, containers: list[str], maker: str
) -> None:
    target = f"{registry.host}/from/{maker}:x"
    tar = rootfs(tmp_path / "rootfs")
    match maker:
        case "podman":
            tool("podman", *containers, "import", "--change", "CMD /bin/tool", tar, "localhost/made:x")
            tool("podman", *containers, "push", "--quiet", "--tls-verify=false", "localhost/made:x", target)
        case "buildah":
            name = tool("buildah", *containers, "from", "scratch").strip()
            tool("buildah", *containers, "add", "--quiet", name, tar, "/")
            tool("buildah", *containers, "config", "--cmd", "/bin/tool", name)
            tool(
                "buildah", *containers, "commit", "--quiet", "--tls-verify=false", name, f"docker://{target}"
            )
        case "umoci":
            layout = f"{tmp_path}/layout"
            tool("umoci", "init", "--layout", layout)
            tool("umoci", "new", "--image", f"{layout}:x")
            tool("umoci", "raw", "add-layer", "--image", f"{layout}:x", str(tar))
            tool("umoci", "config", "--image", f"{layout}:x", "--config.cmd", "/bin/tool")
            skopeo_push(Path(layout), "x", target)
    pulled = take(store, target, tmp_path)
    assert str(pulled.digest) == digest(raw(target))
    config = parsed(raw(target, "--config"))
    assert [str(one) for one in pulled.image.diff_ids] == config["rootfs"]["diff_ids"]
    with store.layers.open(pulled.image.diff_ids[-1]) as stream, tarfile.open(fileobj=stream) as layer:
        assert {"bin/tool", "bin/link"} <= {member.name.removeprefix("./") for member in layer}
    again = f"{registry.host}/back/{maker}:x"
    name_as(store, pulled, again)
    give(store, again, tmp_path)
    assert raw(again) == raw(target)


def test_mirrors_are_asked_first_and_the_origin_last(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    with docker_registry(tmp_path / "mirror") as mirror:
        layout = Layout(tmp_path / "layout")
        layout.name(layout.image(TARS[:1]), "only")
        skopeo_push(layout.top, "only", f"{mirror.host}/team/app:only")
        rule = Rule("r.invalid", registry.host, mirrors=(Mirror("127.0.0.1:1"), Mirror(mirror.host)))
        settings = {"configuration": Configuration((rule,))}
        check_layers(store, take(store, "r.invalid/team/app:only", tmp_path, **settings), TARS[:1])
        assert any("ns=r.invalid" in line for line in mirror.requests())
        check_layers(store, take(store, "r.invalid/team/app:one", tmp_path, **settings), TARS)
        with pytest.raises(MissingError):
            take(store, "r.invalid/team/app:none", tmp_path, **settings)
    assert {named.reference.registry for named in store.references.list()} == {"r.invalid"}


def test_a_pull_through_cache(registry: Registry, store: Store, tmp_path: Path) -> None:
    with docker_registry(tmp_path / "cache", proxy=f"http://{registry.host}") as cache:
        pulled = take(store, f"{cache.host}/team/app:many", tmp_path)
        check_layers(store, pulled, TARS)


def test_blocked_registries(registry: Registry, store: Store, tmp_path: Path) -> None:
    settings = {"configuration": Configuration((Rule(registry.host, registry.host, blocked=True),))}
    with pytest.raises(BlockedError):
        take(store, f"{registry.host}/team/app:one", tmp_path, **settings)


def test_importing_the_runtime_needs_no_network_library() -> None:
    network = "{'trio', 'httpcore', 'ssl'}"
    code = f"import sys, lamina_runtime.registry; sys.exit(bool({network} & sys.modules.keys()))"
    tool(sys.executable, "-c", code)


def test_references_by_digest_cannot_be_pushed(registry: Registry, store: Store, tmp_path: Path) -> None:
    with pytest.raises(LaminaError, match="needs a tag"):
        give(store, f"{registry.host}/team/app@{Digest.of(b'')}", tmp_path)
