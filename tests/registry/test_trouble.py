"""Connections that break, and images that are not what they claim: the store stays good."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from lamina_runtime.errors import IntegrityError, LaminaError
from lamina_runtime.oci import media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.configuration import Configuration, Mirror, Rule
from lamina_runtime.registry.failures import RegistryError, TransferError
from lamina_runtime.registry.pull import Pulled, pull
from lamina_runtime.registry.push import push
from lamina_runtime.store.store import Store

from tests.registry.harness import FAST, failure, options, run
from tests.registry.world import AMD64, TARS, check_layers, empty, make_layout, name_as, raw, take
from tests.support.faulty import Fault, Proxy, faulty
from tests.support.images import CONFIG, INDEX, LAYER, MANIFEST, digest, skopeo_push
from tests.support.registries import Registry, docker_registry
from tests.support.scripted import Answer, Seen, serving

PATIENT = replace(FAST, attempts=6)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    top = tmp_path_factory.mktemp("trouble")
    layout = make_layout(top / "layout")
    with docker_registry(top / "registry") as running:
        skopeo_push(layout.top, "one", f"{running.host}/team/app:one")
        skopeo_push(layout.top, "plain", f"{running.host}/team/app:plain")
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def through(
    registry: Registry, store: Store, home: Path, faults: list[Fault], *, tag: str = "one", **changes: Any
) -> tuple[Pulled, Proxy]:
    """Pull through a proxy with faults; the probes for TLS and without take the first two connections."""

    async def work() -> tuple[Pulled, Proxy]:
        async with faulty(registry.port, [Fault(), Fault(), *faults]) as proxy:
            reference = Reference.parse(f"{proxy.host}/team/app:{tag}")
            settings = options(home, **{"retry": PATIENT, "parallel": 1, **changes})
            return await pull(store, reference, platform=AMD64, options=settings), proxy

    try:
        return run(work)
    except BaseExceptionGroup as group:
        raise failure(group) from None


@pytest.mark.parametrize("tag", ["one", "plain"])
def test_a_pull_broken_in_the_middle_goes_on(
    registry: Registry, store: Store, tmp_path: Path, tag: str
) -> None:
    faults = [Fault(cut=2_000_000), Fault(cut=1_500_000)]
    pulled, proxy = through(registry, store, tmp_path, faults, tag=tag)
    check_layers(store, pulled, TARS)
    assert proxy.connections >= 4
    assert sum(proxy.passed) < 5_000_000 + 200_000  # nothing of weight came twice


def test_a_reset_at_any_point_is_survived(registry: Registry, store: Store, tmp_path: Path) -> None:
    faults = [Fault(cut=size) for size in (1, 100, 700, 2000, 70_000, 1_000_000)]
    pulled, _ = through(registry, store, tmp_path, faults, retry=replace(FAST, attempts=9))
    check_layers(store, pulled, TARS)


def test_a_busy_registry_is_waited_for(registry: Registry, store: Store, tmp_path: Path) -> None:
    faults = [Fault(status=503, retry_after=1), Fault(status=429), Fault(delay=0.2)]
    pulled, _ = through(registry, store, tmp_path, faults)
    check_layers(store, pulled, TARS)


def test_an_altered_byte_is_noticed(registry: Registry, store: Store, tmp_path: Path) -> None:
    with pytest.raises(LaminaError) as caught:
        through(registry, store, tmp_path, [Fault(alter=2_500_000)])
    assert caught.value.exit_code in {1, 4}
    assert empty(store)
    check_layers(store, through(registry, store, tmp_path, [])[0], TARS)


def test_a_dead_line_ends_with_a_reason(registry: Registry, store: Store, tmp_path: Path) -> None:
    with pytest.raises((TransferError, RegistryError)) as caught:
        through(registry, store, tmp_path, [Fault(cut=2_000_000)] + [Fault(status=503)] * 50)
    assert caught.value.exit_code == 5
    assert empty(store)


PROGRAM = """
import sys, trio
from pathlib import Path
from tests.registry.harness import options
from tests.registry.world import AMD64
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.pull import pull
from lamina_runtime.store.store import Store
home, name = Path(sys.argv[1]), sys.argv[2]
store = Store.open(home / "store")
async def main():
    await pull(store, Reference.parse(name), platform=AMD64, options=options(home, parallel=1))
trio.run(main)
"""


def test_another_process_goes_on_where_one_was_killed(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    async def work() -> Proxy:
        # The third connection stalls: the process is killed in the middle of the large layer.
        async with faulty(registry.port, [Fault(), Fault(), Fault(stall=3_500_000)]) as proxy:
            name = f"{proxy.host}/team/app:one"
            argv = [sys.executable, "-c", PROGRAM, str(tmp_path), name]
            process = await trio.lowlevel.open_process(argv)
            try:
                await proxy.stalled.wait()
                await trio.sleep(0.5)  # it writes what it got
            finally:
                process.kill()
                await process.wait()
            assert empty(store)
            settings = options(tmp_path, parallel=1)
            pulled = await pull(store, Reference.parse(name), platform=AMD64, options=settings)
            check_layers(store, pulled, TARS)
            return proxy

    proxy = run(work)
    assert sum(proxy.passed[3:]) < 3_000_000


def test_a_cancelled_pull_goes_on_later(registry: Registry, store: Store, tmp_path: Path) -> None:
    async def work() -> Proxy:
        async with faulty(registry.port, [Fault(), Fault(), Fault(stall=3_500_000)]) as proxy:
            reference = Reference.parse(f"{proxy.host}/team/app:one")
            settings = options(tmp_path, parallel=1)
            with trio.CancelScope() as cancelled:
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def cancel() -> None:
                        await proxy.stalled.wait()
                        await trio.sleep(0.5)
                        cancelled.cancel()

                    await pull(store, reference, platform=AMD64, options=settings)
            assert cancelled.cancelled_caught
            assert empty(store)
            check_layers(store, await pull(store, reference, platform=AMD64, options=settings), TARS)
            return proxy

    assert sum(run(work).passed[3:]) < 3_000_000


def test_two_pulls_at_once(registry: Registry, store: Store, tmp_path: Path) -> None:
    async def work() -> list[Pulled]:
        found = []

        async def one() -> None:
            name = Reference.parse(f"{registry.host}/team/app:one")
            found.append(await pull(store, name, platform=AMD64, options=options(tmp_path)))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(one)
        return found

    for pulled in run(work):
        check_layers(store, pulled, TARS)


def test_a_push_broken_in_the_middle_goes_on(registry: Registry, store: Store, tmp_path: Path) -> None:
    async def work(pulled: Pulled) -> str:
        faults = [Fault(), Fault(), Fault(cut_requests=2_000_000), Fault(cut_requests=1_000_000)]
        async with faulty(registry.port, faults) as proxy:
            target = f"{proxy.host}/broken/push:x"
            name_as(store, pulled, target)
            await push(store, Reference.parse(target), options=options(tmp_path, retry=PATIENT, parallel=1))
            assert proxy.connections >= 5
            return target.replace(proxy.host, registry.host)

    pulled = take(store, f"{registry.host}/team/app:one", tmp_path)
    assert raw(run(lambda: work(pulled))) == pulled.image.manifest.raw
    fresh = Store.open(tmp_path / "fresh")
    check_layers(fresh, take(fresh, f"{registry.host}/broken/push:x", tmp_path), TARS)


class Liar:
    """A registry whose documents a test writes."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.top, self.kind = b"", MANIFEST

    def add(self, data: bytes, kind: str, **changes: Any) -> dict[str, Any]:
        self.blobs[digest(data)] = data
        return {"mediaType": kind, "digest": digest(data), "size": len(data), **changes}

    def image(self, layers: list[dict[str, Any]], diff_ids: list[str], **changes: Any) -> bytes:
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        described = self.add(json.dumps(config).encode(), CONFIG)
        return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers,
                           **changes}).encode()  # fmt: skip

    def __call__(self, seen: Seen) -> Answer:
        name = seen.path.rpartition("/")[2]
        if seen.path == "/v2/":
            return Answer()
        if name == "latest":
            return Answer(200, {"Content-Type": self.kind}, self.top)
        found = self.blobs.get(name)
        return Answer(404) if found is None else Answer(200, {"Content-Type": self.kind_of(name)}, found)

    def kind_of(self, name: str) -> str:
        document = self.blobs[name]
        return (
            json.loads(document).get("mediaType", "") if document[:1] == b"{" else "application/octet-stream"
        )


TAR = TARS[0]
Told = Callable[[Liar, dict[str, Any]], None]


def other_digest(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good], [digest(TAR)])
    liar.blobs[good["digest"]] = TAR[:-1] + b"x"


def other_size(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good | {"size": len(TAR) + 1}], [digest(TAR)])


def other_diff_id(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good], [digest(b"x")])


def fewer_diff_ids(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good, good], [digest(TAR)])


def no_layer(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good], [digest(TAR)])
    del liar.blobs[good["digest"]]


def an_artifact(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good], [], config=liar.add(b"{}", "application/vnd.oci.empty.v1+json"))


def other_configuration(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good], [digest(TAR)])
    liar.blobs[json.loads(liar.top)["config"]["digest"]] = b"{}"


def index_of(entries: list[dict[str, Any]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def deep_indexes(liar: Liar, good: dict[str, Any]) -> None:
    liar.kind, liar.top = INDEX, index_of([])
    for _ in range(8):
        liar.top = index_of([liar.add(liar.top, INDEX)])


def index_of_another_digest(liar: Liar, good: dict[str, Any]) -> None:
    entry = liar.add(liar.image([good], [digest(TAR)]), MANIFEST)
    liar.kind, liar.top = INDEX, index_of([entry])
    liar.blobs[entry["digest"]] += b" "


def schema_1(liar: Liar, good: dict[str, Any]) -> None:
    liar.kind, liar.top = media.DOCKER_SCHEMA1_SIGNED, b'{"schemaVersion": 1, "name": "x"}'


def no_tar(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([liar.add(b"x" * 5000, LAYER)], [digest(b"x" * 5000)])


def no_gzip(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([liar.add(b"\x1f\x8b" + b"x" * 5000, LAYER + "+gzip")], [digest(TAR)])


def huge_configuration(liar: Liar, good: dict[str, Any]) -> None:
    liar.top = liar.image([good], [], config=liar.add(b"{}", CONFIG, size=1 << 50))


LIES: dict[Told, type[Exception]] = {
    other_digest: IntegrityError,
    other_size: IntegrityError,
    other_diff_id: IntegrityError,
    fewer_diff_ids: LaminaError,
    no_layer: RegistryError,
    an_artifact: LaminaError,
    other_configuration: IntegrityError,
    deep_indexes: LaminaError,
    index_of_another_digest: IntegrityError,
    schema_1: LaminaError,
    no_tar: LaminaError,
    no_gzip: LaminaError,
    huge_configuration: LaminaError,
}


@pytest.mark.parametrize(("told", "kind"), LIES.items(), ids=lambda part: part.__name__)
def test_lies_leave_the_store_as_it_was(
    store: Store, tmp_path: Path, told: Told, kind: type[Exception]
) -> None:
    liar = Liar()
    told(liar, liar.add(TAR, LAYER))

    async def work() -> None:
        async with serving(liar) as server:
            reference = Reference.parse(f"{server.host}/a/b:latest")
            with pytest.raises(kind):
                await pull(store, reference, platform=AMD64, options=options(tmp_path))

    run(work)
    assert empty(store)
    assert not store.layers.list()


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1] + b"x", lambda data: data[:100] + bytes(len(data) - 100)]
)
def test_what_a_mirror_spoils_comes_from_the_registry(
    store: Store, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    honest, spoiling = Liar(), Liar()
    packed = gzip.compress(TARS[1], 1, mtime=0)
    for liar in (honest, spoiling):
        liar.top = liar.image([liar.add(packed, LAYER + "+gzip")], [digest(TARS[1])])
    spoiling.blobs[digest(packed)] = spoil(packed)

    async def work() -> Pulled:
        async with serving(spoiling) as mirror, serving(honest) as origin:
            rule = Rule("r.invalid", origin.host, mirrors=(Mirror(mirror.host),))
            settings = options(tmp_path, configuration=Configuration((rule,)))
            reference = Reference.parse("r.invalid/a/b:latest")
            return await pull(store, reference, platform=AMD64, options=settings)

    check_layers(store, run(work), [TARS[1]])


def test_a_beginning_that_was_spoilt_is_fetched_again(store: Store, tmp_path: Path) -> None:
    liar = Liar()
    packed = gzip.compress(TARS[1], 1, mtime=0)
    described = liar.add(packed, LAYER + "+gzip")
    liar.top = liar.image([described], [digest(TARS[1])])
    with store.layers.writer(Descriptor.from_json(described), diff_id=None) as writer:
        writer.write(packed[:1000] + bytes(1000))  # never seen by a decompressor that minds

    async def work() -> Pulled:
        async with serving(liar) as server:
            reference = Reference.parse(f"{server.host}/a/b:latest")
            return await pull(store, reference, platform=AMD64, options=options(tmp_path))

    check_layers(store, run(work), [TARS[1]])
