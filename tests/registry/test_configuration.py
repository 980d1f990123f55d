"""registries.conf and where images come from under it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry import sources
from lamina_runtime.registry.configuration import Configuration, ConfigurationError, files, load
from lamina_runtime.registry.failures import BlockedError
from lamina_runtime.registry.sources import Host

DIGEST = "sha256:" + "a" * 64
BASE = """
unqualified-search-registries = ["one.example", "docker.io"]
[[registry]]
prefix = "docker.io"
location = "hub.mirror.example/cache"
[[registry.mirror]]
location = "m1.example"
[[registry.mirror]]
location = "m2.example:5000/hub"
insecure = true
pull-from-mirror = "digest-only"
[[registry]]
location = "docker.io/library"
blocked = true
[[registry]]
prefix = "*.internal.example"
insecure = true
[aliases]
fedora = "registry.fedoraproject.org/fedora"
gone = "x.example/gone"
"""


def parsed(tmp_path: Path, *texts: str) -> Configuration:
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.conf")
        paths[-1].write_text(text)
    return load([*paths, tmp_path / "absent.conf"])


def planned(configuration: Configuration, text: str, **more: bool) -> list[str]:
    found = sources.plan(Reference.parse(text), configuration, **more)
    return [
        f"{source}{'!' if source.host.insecure else ''}{source.namespace and ' for ' + source.namespace}"
        for source in found
    ]


def test_mirrors_come_in_order_and_the_origin_last(tmp_path: Path) -> None:
    configuration = parsed(tmp_path, BASE)
    assert planned(configuration, "team/app") == [
        "m1.example/team/app for docker.io",
        "hub.mirror.example/cache/team/app",
    ]
    assert planned(configuration, f"team/app@{DIGEST}") == [
        "m1.example/team/app for docker.io",
        "m2.example:5000/hub/team/app!",
        "hub.mirror.example/cache/team/app",
    ]
    assert planned(configuration, "team/app", push=True) == ["hub.mirror.example/cache/team/app"]


def test_the_longest_prefix_wins_and_may_block(tmp_path: Path) -> None:
    with pytest.raises(BlockedError, match=r"docker\.io/library"):
        planned(parsed(tmp_path, BASE), "debian")


def test_prefixes_end_at_borders(tmp_path: Path) -> None:
    text = '[[registry]]\nlocation = "a.example/team"\nblocked = true\n'
    configuration = parsed(tmp_path, text)
    assert planned(configuration, "a.example/teams/x") == ["a.example/teams/x"]
    for name in ("a.example/team", "a.example/team/x", "a.example/team:tag", f"a.example/team@{DIGEST}"):
        with pytest.raises(BlockedError):
            planned(configuration, name)


def test_wildcards_cover_subdomains(tmp_path: Path) -> None:
    configuration = parsed(tmp_path, BASE)
    assert planned(configuration, "r.internal.example:5000/x") == ["r.internal.example:5000/x!"]
    assert planned(configuration, "internal.example/x") == ["internal.example/x"]


def test_tls_verify_has_the_last_word(tmp_path: Path) -> None:
    configuration = parsed(tmp_path, BASE)
    assert planned(configuration, "r.internal.example/x", tls_verify=True) == ["r.internal.example/x"]
    assert planned(configuration, "q.example/x", tls_verify=False) == ["q.example/x!"]


def test_short_names(tmp_path: Path) -> None:
    configuration = parsed(tmp_path, BASE, '[aliases]\ngone = ""\n')
    assert configuration.candidates("fedora:40") == ("registry.fedoraproject.org/fedora:40",)
    assert configuration.candidates(f"fedora@{DIGEST}") == (f"registry.fedoraproject.org/fedora@{DIGEST}",)
    assert configuration.candidates("gone") == ("one.example/gone", "docker.io/gone")
    assert configuration.candidates("q.example/fedora") == ("q.example/fedora",)
    assert configuration.candidates("localhost/fedora") == ("localhost/fedora",)
    assert Configuration().candidates("debian:12") == ("debian:12",)


def test_later_files_replace_tables(tmp_path: Path) -> None:
    later = '[[registry]]\nlocation = "docker.io"\n'
    assert planned(parsed(tmp_path, BASE, later), "team/app") == ["docker.io/team/app"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[registry]]\n", "neither prefix nor location"),
        ("[registries.search]\n", "version 1"),
        ("x = [", "not TOML"),
        ('[[registry]]\nlocation = "https://a.example"\n', "https://a.example"),
        ('[[registry]]\nlocation = "a"\nblocked = "yes"\n', "true or false"),
        ("registry = 5\n", "tables"),
        ('[[registry]]\nlocation = "a"\n[[registry.mirror]]\n', "has no location"),
        (
            '[[registry]]\nlocation="a"\n[[registry.mirror]]\nlocation="b"\npull-from-mirror="never"\n',
            "never",
        ),
        ('[[registry]]\nprefix = "a"\n', "no location"),
        ("[aliases]\na = 5\n", "strings"),
        ("unqualified-search-registries = 'a'\n", "list"),
        ("a = " + "[" * 5000, "not TOML"),
        ("#" * (2 << 20), "larger"),
    ],
)
def test_bad_files_are_refused_with_a_reason(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        parsed(tmp_path, text)
    assert "0.conf" in caught.value.brief


def test_which_files_count(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    user = tmp_path / ".config/containers"
    (user / "registries.conf.d").mkdir(parents=True)
    for name in (
        "registries.conf",
        "registries.conf.d/b.conf",
        "registries.conf.d/a.conf",
        "registries.conf.d/x.txt",
    ):
        (user / name).write_text("")
    found = files(environment, own=tmp_path / "own", uid=1000)
    assert found[0] == user / "registries.conf"
    assert [path.name for path in found if user in path.parents] == ["registries.conf", "a.conf", "b.conf"]
    assert found[-1] == tmp_path / "own/registries.toml"
    assert files(environment, own=tmp_path, uid=0)[0] == Path("/etc/containers/registries.conf")
    chosen = files({**environment, "CONTAINERS_REGISTRIES_CONF": "/c"}, own=tmp_path, uid=1000)
    assert chosen == [Path("/c"), tmp_path / "registries.toml"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:1", True),
        ("[::1]:5000", True),
        ("[::1]", True),
        ("r.example", False),
        ("localhost.example:5000", False),
        ("10.0.0.1:5000", False),
    ],
)
def test_only_this_machine_may_speak_plainly(name: str, plain: bool) -> None:
    assert Host(name).may_be_plain is plain
    assert Host(name, insecure=True).may_be_plain


def test_docker_hub_lives_elsewhere() -> None:
    assert Host("docker.io").authority == "registry-1.docker.io"


@pytest.mark.parametrize("location", ["../x", "a" * 64 + ".b", "a.b:99999/x", "a b", "/x"])
def test_locations_begin_with_a_host(tmp_path: Path, location: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a host"):
        parsed(tmp_path, f'[[registry]]\nprefix = "a.b"\nlocation = "{location}"\n')
