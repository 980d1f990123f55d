"""pull, push, search, login through the command, against docker-registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import BASE, Lamina
from tests.support.images import Layout, run, skopeo_push
from tests.support.registries import Registry, docker_registry


@pytest.fixture
def registry(lamina: Lamina) -> Iterator[Registry]:
    with docker_registry(Path(lamina.top) / "registry") as running:
        yield running


def test_pull_says_what_docker_says(lamina: Lamina, layout: Layout, registry: Registry) -> None:
    name = f"{registry.host}/team/two"
    skopeo_push(layout.top, "docker.io/library/two:latest", f"{name}:latest")
    lines = lamina.ok("pull", name).splitlines()
    assert lines[:2] == ["Using default tag: latest", "latest: Pulling from team/two"]
    assert lines[2].startswith("Digest: sha256:")
    assert lines[3:] == [f"Status: Downloaded newer image for {name}:latest", f"{name}:latest"]
    assert f"Status: Image is up to date for {name}:latest" in lamina.ok("pull", name)
    assert lamina.ok("pull", "-q", name) == f"{name}:latest\n"
    assert (
        lamina.ok("images", "--digests", "--format", "{{.Digest}}")
        == f"{lines[2].removeprefix('Digest: ')}\n"
    )


def test_push_and_the_way_round(loaded: Lamina, registry: Registry) -> None:
    name = f"{registry.host}/mine:1"
    loaded.ok("tag", "two", name)
    lines = loaded.ok("push", name).splitlines()
    assert lines[0] == f"The push refers to repository [{registry.host}/mine]"
    digest = loaded.ok("images", "--format", "{{.Digest}}", name).strip()
    assert lines[-1].startswith(f"1: digest: {digest} size: ")
    raw = run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{name}")
    assert raw.strip() == digest
    loaded.ok("rmi", name, "two")
    loaded.ok("pull", "-q", name)
    assert loaded.ok("images", "--format", "{{.Digest}}", name).strip() == digest


def test_push_for_a_platform_leaves_the_index_behind(
    lamina: Lamina, layout: Layout, registry: Registry
) -> None:
    name = f"{registry.host}/both:1"
    both = Layout(lamina.top / "both")
    image = both.image([BASE])
    both.name(both.index([image]), name)
    lamina.give(both.top)
    lamina.ok("load", "-qi", both.top)
    lamina.refused("push", "--platform", "linux/arm64", name, named="does not provide")
    whole = lamina.ok("push", "--disable-content-trust=false", name).splitlines()[-1]
    alone = lamina.ok("push", "--platform", "linux/amd64", name).splitlines()[-1]
    assert image["digest"] not in whole
    assert image["digest"] in alone
    lamina.ok("rmi", name)
    lamina.ok("pull", "-q", "--disable-content-trust", name)
    assert lamina.ok("images", "--digests", "--format", "{{.Digest}}", name).strip() == image["digest"]


def test_search_lists_a_registrys_catalogue(loaded: Lamina, registry: Registry) -> None:
    loaded.ok("tag", "one", f"{registry.host}/team/tool:1")
    loaded.ok("push", "-q", f"{registry.host}/team/tool:1")
    assert (
        loaded.ok("search", "--format", "{{.Name}}", f"{registry.host}/tool")
        == f"{registry.host}/team/tool\n"
    )


def test_login(loaded: Lamina) -> None:
    with docker_registry(loaded.top / "locked", users={"ann": "secret"}) as locked:
        name = f"{locked.host}/x:1"
        loaded.ok("tag", "one", name)
        loaded.refused("push", "-q", name)
        loaded.refused("login", "-u", "ann", "--password-stdin", locked.host, input="wrong")
        out = loaded.ok("login", "-u", "ann", "--password-stdin", locked.host, input="secret\n")
        assert out == "Login Succeeded\n"
        loaded.ok("push", "-q", name)
        assert loaded.ok("logout", locked.host) == f"Removing login credentials for {locked.host}\n"
        loaded.refused("push", "-q", name)
        assert loaded.ok("logout", locked.host) == f"Not logged in to {locked.host}\n"


def test_pull_for_a_platform_is_as_strict_as_load(lamina: Lamina, layout: Layout, registry: Registry) -> None:
    name = f"{registry.host}/team/two:1"
    skopeo_push(layout.top, "docker.io/library/two:latest", name)
    lamina.refused("pull", "-q", "--platform", "linux/arm64", name, named="no image for linux/arm64")
    assert lamina.contents() == []
    lamina.ok("pull", "-q", "--platform", "linux/amd64", name)


def test_what_is_not_there(lamina: Lamina, registry: Registry) -> None:
    done = lamina.run("pull", f"{registry.host}/none:1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert lamina.contents() == []


def test_import_from_a_url(lamina: Lamina, layout: Layout, registry: Registry) -> None:
    skopeo_push(layout.top, "docker.io/library/two:latest", f"{registry.host}/one:1")
    blob = next(
        path for path in (layout.top / "blobs/sha256").iterdir() if path.read_bytes()[:2] == b"\x1f\x8b"
    )
    url = f"http://{registry.host}/v2/one/blobs/sha256:{blob.name}"
    image = lamina.ok("import", "-q", url, "fetched:1").strip()
    assert lamina.ok("images", "-q", "--no-trunc", "fetched:1").strip() == image
    lamina.refused("import", "-q", f"http://{registry.host}/nothing")


@pytest.mark.parametrize("lamina", ["user"], indirect=True)
def test_short_names_mean_what_registries_conf_says(
    lamina: Lamina, layout: Layout, registry: Registry, tmp_path: Path
) -> None:
    skopeo_push(layout.top, "docker.io/library/two:latest", f"{registry.host}/team/two:7")
    skopeo_push(layout.top, "docker.io/library/one:latest", f"{registry.host}/team/one:latest")
    own = lamina.top / ".config/lamina"
    own.mkdir(parents=True)
    empty = docker_registry(tmp_path / "empty")
    with empty as other:
        (own / "registries.toml").write_text(
            f'unqualified-search-registries = ["{other.host}/team", "{registry.host}/team"]\n'
            f'[aliases]\nshort = "{registry.host}/team/two"\n'
        )
        lamina.give(lamina.top / ".config")
        lines = lamina.ok("pull", "short:7").splitlines()
        assert lines[-1] == f"{registry.host}/team/two:7"
        lines = lamina.ok("pull", "one").splitlines()
        assert lines[-1] == f"{registry.host}/team/one:latest"
        error = lamina.refused("pull", "nowhere", named="no registry gave it")
        assert other.host in error
        assert registry.host in error
    assert lamina.ok("image", "inspect", "--format", "{{json .RepoTags}}", "short:7") == (
        f'["{registry.host}/team/two:7"]\n'
    )
    assert "Untagged" in lamina.ok("rmi", "one")
    lamina.refused("image", "inspect", "short:8", named="No such image")


@pytest.mark.parametrize(
    ("server", "meant"),
    [
        ("harbor", "harbor"),
        ("https://harbor/", "harbor"),
        ("https://harbor:5000/v2/", "harbor:5000"),
        ("localhost", "localhost"),
        ("[::1]:5000", "[::1]:5000"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_a_server_is_a_host_never_a_repository_of_the_hub(lamina: Lamina, server: str, meant: str) -> None:
    assert lamina.ok("logout", server) == f"Not logged in to {meant}\n"


@pytest.mark.parametrize(
    "server", ["harbor/x", "https://", "ftp://harbor", "a b", "-u", "harbor:99999", "a" * 64, "a@b"]
)
def test_what_is_no_host_gets_no_password(lamina: Lamina, server: str) -> None:
    lamina.refused("login", "-u", "ann", "-p", "secret", "--", server, named=f"{server!r} is not a registry")
    lamina.refused("logout", "--", server, named=f"{server!r} is not a registry")


@pytest.mark.parametrize(
    "words",
    [
        ("pull", "127.0.0.1:99999/r"),
        ("pull", "127.0.0.1:0/r"),
        ("search", "127.0.0.1:99999/r"),
        ("search", "a" * 70 + ".b/r"),
        ("import", "http://127.0.0.1:99999/x"),
        ("import", "http://[::1/x"),
        ("import", "https:///x"),
        ("import", f"http://{'a' * 70}.b/x"),
    ],
)
def test_addresses_that_cannot_be_are_refused(lamina: Lamina, words: tuple[str, str]) -> None:
    lamina.refused(*words, named=words[1].removesuffix("/r"))
