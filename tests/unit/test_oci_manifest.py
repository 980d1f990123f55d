"""Manifests, indexes, platforms, configurations: bytes kept, unknown fields kept, oddities refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_runtime.errors import IntegrityError, LaminaError
from lamina_runtime.oci import media
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.container import ContainerConfig, Healthcheck, History
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.json import dump, load
from lamina_runtime.oci.manifest import Index, Manifest, build_index, build_manifest, choose, parse, resolve
from lamina_runtime.oci.media import Kind
from lamina_runtime.oci.platform import Platform, host
from lamina_runtime.value import replace

DIGEST = str(Digest.of(b"x"))
BLOB = {"mediaType": media.OCI_LAYER_GZIP, "digest": DIGEST, "size": 1}
CONFIG = {"mediaType": media.OCI_CONFIG, "digest": DIGEST, "size": 1}
MANIFEST: dict[str, Any] = {"schemaVersion": 2, "config": CONFIG, "layers": [BLOB]}
INDEX: dict[str, Any] = {"schemaVersion": 2, "manifests": []}


def entry(platform: str | None = None, *, salt: str = "", **more: Any) -> dict[str, Any]:
    found = {
        "mediaType": media.OCI_MANIFEST,
        "digest": str(Digest.of(f"{platform}{salt}".encode())),
        "size": 5,
    }
    if platform:
        found["platform"] = Platform.parse(platform).to_json()
    return {**found, **more}


def index_of(*entries: dict[str, Any]) -> Index:
    found = parse(dump({**INDEX, "manifests": list(entries)}))
    assert isinstance(found, Index)
    return found


@pytest.mark.parametrize(
    ("text", "kind", "compression"),
    [
        (media.OCI_LAYER, Kind.LAYER, "none"),
        (media.OCI_LAYER_GZIP, Kind.LAYER, "gzip"),
        (media.OCI_LAYER_ZSTD, Kind.LAYER, "zstd"),
        (media.OCI_LAYER + "+xz", Kind.LAYER, "xz"),
        (media.DOCKER_LAYER, Kind.LAYER, "none"),
        (media.DOCKER_LAYER_GZIP, Kind.LAYER, "gzip"),
        (media.DOCKER_FOREIGN_GZIP, Kind.LAYER, "gzip"),
        (media.OCI_FOREIGN_ZSTD, Kind.LAYER, "zstd"),
        (media.OCI_INDEX, Kind.INDEX, "none"),
        (media.DOCKER_INDEX, Kind.INDEX, "none"),
        (media.DOCKER_MANIFEST + "; charset=utf-8", Kind.MANIFEST, "none"),
        (media.OCI_CONFIG.upper(), Kind.CONFIG, "none"),
        (media.OCI_EMPTY, Kind.OTHER, "none"),
        ("", Kind.OTHER, "none"),
    ],
)
def test_media_types(text: str, kind: str, compression: str) -> None:
    assert media.kind(text) == kind
    assert media.compression(text) == compression


def test_foreign_layers_are_known() -> None:
    assert media.is_foreign(media.DOCKER_FOREIGN_GZIP)
    assert media.is_foreign(media.OCI_FOREIGN)
    assert not media.is_foreign(media.OCI_LAYER_GZIP)


def test_the_bytes_of_a_manifest_are_kept() -> None:
    raw = dump({"x-unknown": [1, {"y": None}], **MANIFEST}).replace(b",", b" ,\n ")
    found = parse(raw, media.OCI_MANIFEST)
    assert isinstance(found, Manifest)
    assert found.raw == raw
    assert found.digest == Digest.of(raw)
    assert found.descriptor == Descriptor(media.OCI_MANIFEST, Digest.of(raw), len(raw))
    assert found.layers[0].media_type == media.OCI_LAYER_GZIP
    assert found.is_image


@pytest.mark.parametrize("sent", ["application/json", "text/plain", None, ""])
def test_a_sender_that_does_not_know_the_type_is_not_believed(sent: str | None) -> None:
    assert isinstance(parse(dump(MANIFEST), sent), Manifest)
    assert isinstance(parse(dump(INDEX), sent), Index)
    assert (
        parse(dump({**MANIFEST, "mediaType": media.DOCKER_MANIFEST}), sent).media_type
        == media.DOCKER_MANIFEST
    )


@pytest.mark.parametrize(
    ("value", "sent", "why"),
    [
        ({**MANIFEST, "manifests": []}, None, "could be an index"),
        ({**MANIFEST, "mediaType": media.OCI_INDEX}, None, "not what its media type"),
        ({**INDEX, "mediaType": media.OCI_MANIFEST}, None, "not what its media type"),
        ({**MANIFEST, "mediaType": media.OCI_MANIFEST}, media.DOCKER_MANIFEST, "its sender calls it"),
        (MANIFEST, media.OCI_INDEX, "not what its media type"),
        ({**MANIFEST, "mediaType": "text/html"}, None, "neither a manifest's"),
        ({"schemaVersion": 2}, None, "neither config"),
        ({**MANIFEST, "schemaVersion": 1}, None, "schema 1"),
        (MANIFEST, media.DOCKER_SCHEMA1_SIGNED, "schema 1"),
        ({**MANIFEST, "schemaVersion": 3}, None, "version 3"),
        ({**MANIFEST, "schemaVersion": "2"}, None, "schemaVersion"),
        ({**MANIFEST, "config": None}, None, "no config"),
        ({**MANIFEST, "layers": [BLOB] * 1025}, None, "limit"),
        ({**MANIFEST, "layers": [{**BLOB, "size": -1}]}, None, "size"),
        ({**MANIFEST, "layers": [{**BLOB, "digest": "sha256:../../etc/passwd"}]}, None, "not a digest"),
        ({**MANIFEST, "layers": [{**BLOB, "digest": None}]}, None, "no digest"),
        ({**MANIFEST, "layers": [{"digest": DIGEST}]}, None, "no size"),
        ({**MANIFEST, "layers": [{**BLOB, "mediaType": "x" * 256}]}, None, "media type of 256"),
        ({**MANIFEST, "annotations": {"a": 1}}, None, "annotations"),
        ({**MANIFEST, "config": {**CONFIG, "data": "@@"}}, None, "base64"),
        ([], None, "an object is wanted"),
    ],
)
def test_odd_manifests_are_refused(value: object, sent: str | None, why: str) -> None:
    with pytest.raises(OciError, match=why):
        parse(dump(value), sent)


def test_embedded_content_must_match_its_digest() -> None:
    good = {**CONFIG, "data": base64.b64encode(b"x").decode()}
    found = parse(dump({**MANIFEST, "config": good}))
    assert isinstance(found, Manifest)
    assert found.config.data == b"x"
    with pytest.raises(IntegrityError):
        parse(dump({**MANIFEST, "config": {**good, "data": base64.b64encode(b"y").decode()}}))


def test_a_descriptor_verifies_size_and_digest() -> None:
    found = Descriptor("a/b", Digest.of(b"abc"), 3)
    assert found.verify(b"abc", "blob") == b"abc"
    for bad in (b"abd", b"ab", b"abcd"):
        with pytest.raises(IntegrityError, match="blob: content does not match"):
            found.verify(bad, "blob")


def test_built_manifests_are_the_same_every_time() -> None:
    config, layer = Descriptor.from_json(CONFIG), Descriptor.from_json(BLOB)
    one = build_manifest(config, [layer], {"b": "2", "a": "1"})
    two = build_manifest(config, [layer], {"a": "1", "b": "2"})
    assert one.raw == two.raw
    assert one.layers == (layer,)
    assert list(load(one.raw, "x")) == ["schemaVersion", "mediaType", "config", "layers", "annotations"]
    both = build_index([one.descriptor, replace(two.descriptor, platform=Platform("linux", "amd64"))])
    assert isinstance(parse(both.raw, media.OCI_INDEX), Index)


def test_a_descriptor_survives_a_round_trip() -> None:
    full = Descriptor(
        "a/b",
        Digest.of(b"abc"),
        3,
        {"k": "v"},
        Platform("linux", "arm", "v7", "1", ("f",)),
        ("https://x",),
        b"abc",
        "t/u",
    )
    assert Descriptor.from_json(full.to_json()) == full


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/arm64/v8", Platform("linux", "arm64", "v8")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("amd64", Platform("linux", "amd64")),
        ("Linux/x86_64", Platform("linux", "amd64")),
        ("linux/armhf", Platform("linux", "arm", "v7")),
        ("windows/amd64", Platform("windows", "amd64")),
    ],
)
def test_platforms_go_by_several_names(text: str, platform: Platform) -> None:
    assert Platform.parse(text) == platform


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/..", "x y"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(OciError):
        Platform.parse(text)


def test_the_host_is_known_by_uname() -> None:
    assert str(host("Linux", "x86_64")) == "linux/amd64"
    assert str(host("Linux", "armv7l")) == "linux/arm/v7"
    assert str(host("Linux", "riscv64")) == "linux/riscv64"


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64/v8", ["linux/arm64"], "linux/arm64"),
        ("linux/arm64/v8.2", ["linux/arm64", "linux/arm64/v8.1", "linux/arm64/v9"], "linux/arm64/v8.1"),
        ("linux/arm/v6", ["linux/arm", "linux/arm/v7", "linux/arm/v5"], "linux/arm/v5"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/ppc64le/power9", ["linux/ppc64le", "linux/ppc64le/power10"], "linux/ppc64le"),
        ("linux/riscv64", ["linux/riscv64/rva20u64"], "linux/riscv64/rva20u64"),
        ("linux/s390x", ["linux/s390x/z13"], None),
        ("windows/amd64", ["linux/amd64"], None),
    ],
)
def test_the_best_variant_that_runs_here_is_chosen(
    wanted: str, offered: list[str], chosen: str | None
) -> None:
    index = index_of(*map(entry, offered))
    if chosen is None:
        with pytest.raises(OciError, match="no image for") as caught:
            choose(index, Platform.parse(wanted))
        assert offered[0] in caught.value.details
        return
    assert str(choose(index, Platform.parse(wanted)).platform) == chosen


def test_of_equals_the_first_is_chosen() -> None:
    index = index_of(entry("linux/amd64", salt="1"), entry("linux/amd64", salt="2"))
    assert choose(index, Platform.parse("amd64")) == index.manifests[0]


def test_attestations_artifacts_and_unknown_types_are_passed_over() -> None:
    index = index_of(
        entry("unknown/unknown"),
        entry("linux/amd64", salt="b", annotations={"vnd.docker.reference.type": "attestation-manifest"}),
        entry("linux/amd64", salt="c", mediaType="application/vnd.other+json"),
        entry(None, salt="d", artifactType="application/spdx"),
        entry(None, salt="e"),
        entry("linux/amd64"),
    )
    assert choose(index, Platform.parse("amd64")) == index.manifests[5]
    assert choose(index, Platform.parse("arm64")) == index.manifests[4]


def run(top: Manifest | Index, documents: dict[Digest, Manifest | Index], wanted: str = "amd64") -> Manifest:
    """Drive resolve() as a caller does."""
    steps = resolve(top, Platform.parse(wanted))
    try:
        asked = next(steps)
        for _ in range(1000):
            asked = steps.send(documents[asked.digest])
    except StopIteration as done:
        assert isinstance(done.value, Manifest)
        return done.value
    raise AssertionError("no end")


def nested(inner: Manifest | Index) -> dict[str, Any]:
    return {"mediaType": inner.media_type, "digest": str(inner.digest), "size": len(inner.raw)}


def test_nested_indexes_are_searched_in_order() -> None:
    image = parse(dump(MANIFEST))
    empty = index_of(entry("linux/arm64"))
    full = index_of({**nested(image), "platform": {"os": "linux", "architecture": "amd64"}})
    top = index_of(nested(empty), nested(full))
    documents = {found.digest: found for found in (image, empty, full)}
    assert run(top, documents) == image
    assert run(image, {}) == image


def test_indexes_that_nest_too_deep_or_in_circles_are_refused() -> None:
    chain: list[Index] = [index_of(entry("linux/arm64"))]
    for _ in range(6):
        chain.append(index_of(nested(chain[-1])))
    with pytest.raises(OciError, match="deep"):
        run(chain[-1], {found.digest: found for found in chain})
    bottom = index_of(nested(chain[0]))
    with pytest.raises(OciError, match="no image"):  # a source that answers with an outer index
        run(index_of(nested(bottom), nested(bottom)), {bottom.digest: bottom, chain[0].digest: bottom})


def test_an_index_that_makes_us_fetch_without_end_is_refused() -> None:
    leaves = [index_of(entry("linux/arm64", salt=str(number))) for number in range(200)]
    with pytest.raises(OciError, match="more than 64 documents"):
        run(index_of(*map(nested, leaves)), {leaf.digest: leaf for leaf in leaves})


FULL: dict[str, Any] = {
    "x-first": {"keep": [1, 2]},
    "created": "2024-01-02T03:04:05Z",
    "author": "me",
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "config": {
        "Hostname": "kept",
        "User": "1:2",
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["A=b"],
        "Entrypoint": None,
        "Cmd": ["sh"],
        "Volumes": {"/v": {}},
        "WorkingDir": "/w",
        "Labels": {"l": "m"},
        "StopSignal": "SIGINT",
        "StopTimeout": 3,
        "Healthcheck": {"Test": ["NONE"], "Interval": 5},
        "Shell": ["/bin/ash"],
        "OnBuild": ["RUN x"],
    },
    "rootfs": {"type": "layers", "diff_ids": [DIGEST], "x-inner": 1},
    "history": [{"created_by": "a", "x-history": True}, {"created_by": "b", "empty_layer": True}],
}


def test_a_configuration_reads_every_field() -> None:
    raw = dump(FULL)
    got = ImageConfig.parse(raw)
    assert (got.raw, got.id) == (raw, Digest.of(raw))
    assert str(got.platform) == "linux/arm64/v8"
    assert (got.created, got.author, got.diff_ids) == ("2024-01-02T03:04:05Z", "me", (Digest.parse(DIGEST),))
    assert [(step.created_by, step.empty_layer) for step in got.history] == [("a", False), ("b", True)]
    assert got.config == ContainerConfig(
        "1:2",
        ("80/tcp",),
        ("A=b",),
        None,
        ("sh",),
        ("/v",),
        "/w",
        {"l": "m"},
        "SIGINT",
        3,
        Healthcheck(("NONE",), 5),
        ("/bin/ash",),
        ("RUN x",),
    )


def test_an_edit_keeps_what_it_is_not_about() -> None:
    got = ImageConfig.parse(dump(FULL))
    changed = got.edit(config=replace(got.config, cmd=("bash",), labels={}), fields={"author": None})
    value = load(changed.raw, "x")
    expected = {**FULL, "config": {**FULL["config"], "Cmd": ["bash"]}}
    del expected["author"], expected["config"]["Labels"]
    assert value == expected
    assert list(value) == [key for key in FULL if key != "author"]
    assert changed.id == Digest.of(changed.raw) != got.id


def test_a_step_adds_history_and_perhaps_a_layer() -> None:
    got = ImageConfig.parse(dump(FULL))
    layer = Digest.of(b"layer")
    changed = got.with_step(History(created_by="RUN x"), layer).with_step(
        History(created_by="ENV y", empty_layer=True)
    )
    value = load(changed.raw, "x")
    assert value["rootfs"] == {"type": "layers", "diff_ids": [DIGEST, str(layer)], "x-inner": 1}
    assert value["history"][:2] == FULL["history"]
    assert value["history"][2:] == [{"created_by": "RUN x"}, {"created_by": "ENV y", "empty_layer": True}]
    with pytest.raises(OciError):
        got.with_step(History(created_by="RUN x"))


def test_a_new_configuration_can_be_edited() -> None:
    start = ImageConfig.new(Platform("linux", "amd64"), created="2024-01-01T00:00:00Z")
    made = start.edit(config=ContainerConfig(env=("A=b",), entrypoint=(), volumes=("/v",)))
    assert load(made.raw, "x")["config"] == {"Env": ["A=b"], "Entrypoint": [], "Volumes": {"/v": {}}}
    assert made.config.entrypoint == ()
    assert start.diff_ids == ()


def test_old_configurations_have_a_command_that_is_one_string() -> None:
    assert ImageConfig.parse(dump({**FULL, "config": {"Cmd": "sh"}})).config.cmd == ("sh",)
    assert ImageConfig.parse(dump({**FULL, "config": None})).config == ContainerConfig()


@pytest.mark.parametrize(
    "change",
    [
        {"rootfs": None},
        {"rootfs": {"type": "tree"}},
        {"rootfs": {"diff_ids": ["x"]}},
        {"rootfs": {"diff_ids": [1]}},
        {"config": {"Env": "A=b"}},
        {"config": {"Cmd": ["a\0b"]}},
        {"config": {"Volumes": ["/v"]}},
        {"config": []},
        {"history": {}},
        {"history": [{"empty_layer": "yes"}]},
        {"rootfs": {"diff_ids": [DIGEST] * 1025}},
        {"config": {"Healthcheck": {"Interval": -1}}},
        {"os": 1},
    ],
)
def test_odd_configurations_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(OciError):
        ImageConfig.parse(dump({**FULL, **change}))


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(
    st.lists(TEXT),
    st.none() | st.lists(TEXT),
    st.dictionaries(TEXT, TEXT),
    st.dictionaries(TEXT, st.integers()),
)
def test_any_edit_is_read_back_and_keeps_unknown_fields(
    env: list[str], cmd: list[str] | None, labels: dict[str, str], unknown: dict[str, int]
) -> None:
    unknown = {f"x-{key}": value % 2**62 for key, value in unknown.items()}
    start = ImageConfig.parse(dump({**FULL, **unknown}))
    wanted = replace(start.config, env=tuple(env), cmd=None if cmd is None else tuple(cmd), labels=labels)
    got = start.edit(config=wanted)
    assert got.config == wanted
    assert {key: got.fields[key] for key in unknown} == unknown
    assert got.edit(config=start.config).config == start.config


@given(
    st.dictionaries(
        st.sampled_from([*MANIFEST, "manifests", "mediaType", "subject", "annotations"]),
        st.none() | st.integers() | TEXT | st.just(BLOB) | st.just([BLOB]) | st.just([]),
    )
)
def test_near_misses_are_read_or_refused_never_worse(change: dict[str, Any]) -> None:
    try:
        parse(dump({**MANIFEST, **change}))
    except LaminaError as refused:
        assert "\n" not in str(refused)
