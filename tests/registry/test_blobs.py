"""Blobs both ways against scripted servers: ranges, resumption, pieces, refusals."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import MismatchError
from lamina_runtime.registry.download import Download, Memory, get_blob
from lamina_runtime.registry.failures import MissingError, ProtocolError, RegistryError, TransferError
from lamina_runtime.registry.session import Session
from lamina_runtime.registry.upload import SMALL, Outcome, Upload

from tests.registry.harness import OCTETS, descriptor, failure, options, problem, run, source
from tests.support.images import noise
from tests.support.scripted import Answer, Seen, Server, serving

BLOB = noise(3_000_000)
OK = Answer()


class Shelf:
    """Serves one blob; `broken` answers come first, ranges are honoured if `ranges`."""

    def __init__(
        self,
        blob: bytes = BLOB,
        *,
        broken: list[Callable[[bytes], Answer]] | None = None,
        ranges: bool = True,
    ) -> None:
        self.blob, self.broken, self.ranges = blob, broken or [], ranges

    def __call__(self, seen: Seen) -> Answer:
        if seen.path == "/v2/":
            return OK
        wanted = seen.headers.get("range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        body = self.blob[start:]
        if self.broken:
            return self.broken.pop(0)(body)
        if start >= len(self.blob) > 0:
            return problem(416, "RANGE")
        if start or (wanted and self.ranges):
            span = f"bytes {start}-{len(self.blob) - 1}/{len(self.blob)}"
            return Answer(206, {"Content-Range": span}, body)
        return Answer(200, {}, body)


def fetch(tmp_path: Path, handler: Any, wanted: Descriptor, *, there: bytes = b"") -> tuple[bytes, Server]:
    """Download `wanted` into memory where `there` is already."""

    async def work() -> tuple[bytes, Server]:
        async with serving(handler) as server, Session(options(tmp_path)) as session:
            writer = Memory(wanted, "blob")
            writer.write(there)
            found = await Download(session, wanted, writer).run(source(session, server.host))
            assert isinstance(found, bytes)
            return found, server

    try:
        return run(work)
    except BaseExceptionGroup as group:
        raise failure(group) from None


def ranges(server: Server) -> list[str | None]:
    return [seen.headers.get("range") for seen in server.seen if seen.path != "/v2/"]


def test_a_blob_comes_whole(tmp_path: Path) -> None:
    found, server = fetch(tmp_path, Shelf(), descriptor(BLOB))
    assert found == BLOB
    assert ranges(server) == [None]
    assert server.seen[-1].headers["accept-encoding"] == "identity"


def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    cuts = [lambda body: Answer(200, {}, body, cut=1_500_000), lambda _: Answer(cut=-1)]
    found, server = fetch(tmp_path, Shelf(broken=cuts), descriptor(BLOB))
    assert found == BLOB
    asked = ranges(server)
    assert asked[0] is None
    assert asked[1:] == ["bytes=1500000-"] * 2


def test_an_answer_that_ends_early_is_taken_up(tmp_path: Path) -> None:
    early = [lambda body: Answer(200, {}, body[:2_000_000], chunked=True)]
    found, server = fetch(tmp_path, Shelf(broken=early), descriptor(BLOB))
    assert found == BLOB
    assert ranges(server) == [None, "bytes=2000000-"]


def test_what_another_process_left_is_used(tmp_path: Path) -> None:
    found, server = fetch(tmp_path, Shelf(), descriptor(BLOB), there=BLOB[:1000])
    assert found == BLOB
    assert ranges(server) == ["bytes=1000-"]


def test_all_there_needs_no_request(tmp_path: Path) -> None:
    found, server = fetch(tmp_path, Shelf(), descriptor(BLOB), there=BLOB)
    assert (found, server.asked()) == (BLOB, [])


def test_a_server_without_ranges_sends_it_all_again(tmp_path: Path) -> None:
    found, server = fetch(tmp_path, Shelf(ranges=False), descriptor(BLOB), there=BLOB[:1_234_567])
    assert found == BLOB
    assert ranges(server) == ["bytes=1234567-"]


def test_a_wrong_beginning_is_thrown_away(tmp_path: Path) -> None:
    found, server = fetch(tmp_path, Shelf(), descriptor(BLOB), there=bytes(1000))
    assert found == BLOB
    assert ranges(server) == ["bytes=1000-", None]


def test_more_than_all_is_thrown_away(tmp_path: Path) -> None:
    found, server = fetch(tmp_path, Shelf(), descriptor(BLOB), there=BLOB + b"x")
    assert found == BLOB
    assert ranges(server) == [None]


def test_a_range_that_is_refused_begins_again(tmp_path: Path) -> None:
    refused = [lambda _: problem(416, "RANGE")]
    found, server = fetch(tmp_path, Shelf(broken=refused), descriptor(BLOB), there=BLOB[:1000])
    assert found == BLOB
    assert ranges(server) == ["bytes=1000-", None]


@pytest.mark.parametrize("span", ["bytes 5000-9999/3000000", "bytes x", "", "items 1000-2/3"])
def test_another_range_than_asked_for_is_refused(tmp_path: Path, span: str) -> None:
    lies = [lambda body: Answer(206, {"Content-Range": span} if span else {}, body[:10])] * 20
    with pytest.raises(ProtocolError, match="another range"):
        fetch(tmp_path, Shelf(broken=lies), descriptor(BLOB), there=BLOB[:1000])


@pytest.mark.parametrize(
    "lie",
    [
        lambda body: Answer(200, {}, body + b"x"),
        lambda body: Answer(200, {}, body[:-1]),
        lambda body: Answer(200, {}, body + b"x", chunked=True),
        lambda body: Answer(200, {}, bytes(len(body))),
    ],
    ids=["longer", "shorter", "longer-chunked", "altered"],
)
def test_wrong_content_is_refused(tmp_path: Path, lie: Callable[[bytes], Answer]) -> None:
    shelf = Shelf(broken=[lie] * 10)
    with pytest.raises(MismatchError):
        fetch(tmp_path, shelf, descriptor(BLOB))
    assert len(shelf.broken) == 9  # asked once: who lies is not asked again


def test_an_endless_answer_is_cut(tmp_path: Path) -> None:
    small = descriptor(b"abc")
    with pytest.raises(MismatchError):
        fetch(tmp_path, lambda seen: Answer(200, {}, b"abcd" * 1_000_000, chunked=True), small)


def test_no_progress_ends(tmp_path: Path) -> None:
    shelf = Shelf(broken=[lambda _: Answer(200, {"Content-Length": str(len(BLOB))}, b"", cut=0)] * 50)
    with pytest.raises(TransferError):
        fetch(tmp_path, shelf, descriptor(BLOB))
    assert len(shelf.broken) == 46


def test_steady_progress_goes_on(tmp_path: Path) -> None:
    shelf = Shelf(
        broken=[
            lambda body: Answer(
                200 if len(body) == len(BLOB) else 206,
                {"Content-Range": f"bytes {len(BLOB) - len(body)}-{len(BLOB) - 1}/{len(BLOB)}"},
                body,
                cut=200_000,
            )
        ]
        * 14
    )
    found, server = fetch(tmp_path, shelf, descriptor(BLOB))
    assert found == BLOB
    assert len(ranges(server)) == 15


def test_a_missing_blob(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="not found"):
        fetch(tmp_path, lambda _: problem(404, "BLOB_UNKNOWN"), descriptor(BLOB))


def test_embedded_content_needs_no_request(tmp_path: Path) -> None:
    wanted = Descriptor(OCTETS, Digest.of(b"abc"), 3, data=b"abc")
    found, server = fetch(tmp_path, Shelf(), wanted)
    assert (found, server.asked()) == (b"abc", [])


def test_empty_blobs(tmp_path: Path) -> None:
    assert fetch(tmp_path, Shelf(b""), descriptor(b""))[0] == b""


def test_sha512(tmp_path: Path) -> None:
    assert fetch(tmp_path, Shelf(b"x"), descriptor(b"x", algorithm="sha512"))[0] == b"x"


def test_large_configurations_are_refused(tmp_path: Path) -> None:
    async def work() -> None:
        async with Session(options(tmp_path)) as session:
            huge = Descriptor(OCTETS, Digest.of(b""), 1 << 40)
            with pytest.raises(Exception, match="more than the limit"):
                await get_blob(session, source(session, "r.invalid"), huge)

    run(work)


def test_foreign_layers_come_from_their_addresses(tmp_path: Path) -> None:
    async def work() -> tuple[bytes, Server]:
        async with serving(Shelf()) as elsewhere, serving(lambda _: problem(404, "BLOB_UNKNOWN")) as server:
            wanted = descriptor(BLOB)
            urls = ("http://127.0.0.1:1/x", f"{elsewhere.url}/layer")
            wanted = Descriptor(wanted.media_type, wanted.digest, wanted.size, urls=urls)
            async with Session(options(tmp_path)) as session:
                return await get_blob(session, source(session, server.host), wanted), elsewhere

    found, elsewhere = run(work)
    assert found == BLOB
    assert "authorization" not in elsewhere.seen[0].headers


class Inbox:
    """A registry's side of uploads; `hook` may answer in its place."""

    def __init__(self, hook: Callable[[Seen], Answer | None] = lambda _: None, *, least: int = 0) -> None:
        self.hook, self.least = hook, least
        self.data, self.blobs = bytearray(), dict[str, bytes]()
        self.step = 0

    def __call__(self, seen: Seen) -> Answer:
        if seen.path == "/v2/":
            return OK
        return self.hook(seen) or self.answer(seen)

    def answer(self, seen: Seen) -> Answer:
        digest = seen.query.get("digest", [""])[0]
        match seen.method:
            case "HEAD":
                return Answer(200 if seen.path.rpartition("/")[2] in self.blobs else 404)
            case "POST":
                self.data.clear()
                return self.place(202)
            case "PATCH":
                span = seen.headers.get("content-range")
                if span and int(span.split("-")[0]) != len(self.data):
                    return problem(416, "BLOB_UPLOAD_INVALID")
                self.data += seen.body
                return self.place(202)
            case "GET":
                return self.place(204)
            case "PUT":
                self.data += seen.body
                if str(Digest.of(bytes(self.data), digest.partition(":")[0])) != digest:
                    return problem(400, "DIGEST_INVALID")
                self.blobs[digest] = bytes(self.data)
                return Answer(201, {"Docker-Content-Digest": digest, "Location": "/v2/a/b/blobs/x"})
        return Answer(204)

    def place(self, status: int) -> Answer:
        self.step += 1
        headers = {"Location": f"/v2/a/b/blobs/uploads/u?step={self.step}&state=a%2Fb"}
        if self.least:
            headers["OCI-Chunk-Min-Length"] = str(self.least)
        if status != 202 or self.data:
            headers["Range"] = f"0-{max(len(self.data) - 1, 0)}"
        return Answer(status, headers)


def send(
    tmp_path: Path,
    inbox: Any,
    blob: bytes,
    *,
    mount_from: tuple[str, ...] = (),
    algorithm: str = "sha256",
    **changes: Any,
) -> tuple[Outcome, Server]:
    async def work() -> tuple[Outcome, Server]:
        async with serving(inbox) as server, Session(options(tmp_path, **changes)) as session:
            wanted = descriptor(blob, algorithm=algorithm)
            upload = Upload(session, source(session, server.host), wanted, lambda: io.BytesIO(blob))
            return await upload.run(mount_from=mount_from), server

    try:
        return run(work)
    except BaseExceptionGroup as group:
        raise failure(group) from None


def methods(server: Server) -> list[str]:
    return [seen.method for seen in server.seen if seen.path != "/v2/"]


def test_a_blob_that_is_there_is_not_sent(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.blobs[str(Digest.of(BLOB))] = BLOB
    outcome, server = send(tmp_path, inbox, BLOB)
    assert (outcome, methods(server)) == (Outcome.EXISTS, ["HEAD"])


def test_a_large_blob_goes_in_one_piece(tmp_path: Path) -> None:
    inbox = Inbox()
    outcome, server = send(tmp_path, inbox, BLOB)
    assert outcome is Outcome.PUSHED
    assert inbox.blobs == {str(Digest.of(BLOB)): BLOB}
    assert methods(server) == ["HEAD", "POST", "PATCH", "PUT"]
    patch, put = server.seen[-2:]
    assert patch.query == {"step": ["1"], "state": ["a/b"]}
    assert patch.headers["content-length"] == str(len(BLOB))
    assert put.query == {"step": ["2"], "state": ["a/b"], "digest": [str(Digest.of(BLOB))]}


@pytest.mark.parametrize("size", [0, 1, SMALL])
def test_a_small_blob_goes_with_the_first_request(tmp_path: Path, size: int) -> None:
    def taken(seen: Seen) -> Answer | None:
        return Answer(201) if seen.method == "POST" else None

    outcome, server = send(tmp_path, Inbox(taken), noise(size))
    assert (outcome, methods(server)) == (Outcome.PUSHED, ["HEAD", "POST"])
    assert server.seen[-1].query == {"digest": [str(Digest.of(noise(size)))]}
    assert server.seen[-1].body == noise(size)
    inbox = Inbox()
    _, server = send(tmp_path, inbox, noise(size))
    assert methods(server) == ["HEAD", "POST", "PUT"]
    assert inbox.blobs == {str(Digest.of(noise(size))): noise(size)}


def test_sha512_is_announced(tmp_path: Path) -> None:
    inbox = Inbox()
    _, server = send(tmp_path, inbox, BLOB, algorithm="sha512")
    assert server.seen[2].query == {"digest-algorithm": ["sha512"]}
    assert str(Digest.of(BLOB, "sha512")) in inbox.blobs


def test_pieces_are_as_large_as_wanted(tmp_path: Path) -> None:
    inbox = Inbox()
    _, server = send(tmp_path, inbox, BLOB, chunk=1_000_000)
    patches = [seen.headers["content-range"] for seen in server.seen if seen.method == "PATCH"]
    assert patches == ["0-999999", "1000000-1999999", "2000000-2999999"]
    assert inbox.blobs == {str(Digest.of(BLOB)): BLOB}


def test_pieces_are_as_large_as_the_registry_wants(tmp_path: Path) -> None:
    _, server = send(tmp_path, Inbox(least=1_400_000), BLOB, chunk=1_000_000)
    patches = [seen.headers["content-range"] for seen in server.seen if seen.method == "PATCH"]
    assert patches == ["0-1399999", "1400000-2799999", "2800000-2999999"]


def test_absurd_least_pieces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="pieces of"):
        send(tmp_path, Inbox(least=1 << 40), BLOB, chunk=1000)


def test_a_broken_upload_goes_on_where_the_registry_is(tmp_path: Path) -> None:
    inbox = Inbox()
    left = [2]

    def half(seen: Seen) -> Answer | None:
        if seen.method != "PATCH" or not left[0]:
            return None
        left[0] -= 1
        inbox.data += seen.body[:1_000_000]
        return Answer(cut=-1) if left[0] else problem(503, "UNAVAILABLE")

    inbox.hook = half
    outcome, server = send(tmp_path, inbox, BLOB)
    assert outcome is Outcome.PUSHED
    assert inbox.blobs == {str(Digest.of(BLOB)): BLOB}
    spans = [seen.headers.get("content-range") for seen in server.seen if seen.method == "PATCH"]
    assert spans == [None, "1000000-2999999", "2000000-2999999"]
    assert methods(server).count("GET") == 2


def test_out_of_step_is_asked_for(tmp_path: Path) -> None:
    inbox = Inbox()
    lost = [True]

    def unseen(seen: Seen) -> Answer | None:
        if seen.method == "PATCH" and lost:
            lost.clear()
            inbox.data += seen.body[:500_000]
            return Answer(202, {"Location": "/v2/a/b/blobs/uploads/u?step=9"})  # claims all, has half
        return None

    inbox.hook = unseen
    outcome, server = send(tmp_path, inbox, BLOB, chunk=1_000_000)
    assert outcome is Outcome.PUSHED
    assert inbox.blobs == {str(Digest.of(BLOB)): BLOB}
    assert methods(server) == ["HEAD", "POST", "PATCH", "PATCH", "GET", "PATCH", "PATCH", "PATCH", "PUT"]


def test_a_forgotten_upload_begins_again(tmp_path: Path) -> None:
    inbox = Inbox()
    state = ["break", "forget"]

    def forget(seen: Seen) -> Answer | None:
        if seen.method == "PATCH" and state[:1] == ["break"]:
            state.pop(0)
            return Answer(cut=-1)
        if seen.method == "GET" and state[:1] == ["forget"]:
            state.pop(0)
            return problem(404, "BLOB_UPLOAD_UNKNOWN")
        return None

    inbox.hook = forget
    outcome, server = send(tmp_path, inbox, BLOB)
    assert outcome is Outcome.PUSHED
    assert methods(server) == ["HEAD", "POST", "PATCH", "GET", "DELETE", "POST", "PATCH", "PUT"]


def test_a_lost_answer_to_the_last_request(tmp_path: Path) -> None:
    inbox = Inbox()

    def lost(seen: Seen) -> Answer | None:
        if seen.method == "PUT":
            inbox.answer(seen)
            return Answer(cut=-1)
        return None

    inbox.hook = lost
    outcome, server = send(tmp_path, inbox, BLOB)
    assert outcome is Outcome.PUSHED
    assert methods(server) == ["HEAD", "POST", "PATCH", "PUT", "HEAD"]


def test_what_fails_is_cancelled(tmp_path: Path) -> None:
    def refuse(seen: Seen) -> Answer | None:
        return problem(403, "DENIED") if seen.method in {"PATCH", "PUT"} else None

    seen: list[str] = []
    inbox = Inbox(lambda one: seen.append(one.method) or refuse(one))  # type: ignore[func-returns-value]
    with pytest.raises(RegistryError, match="access denied"):
        send(tmp_path, inbox, BLOB)
    assert seen == ["HEAD", "POST", "PATCH", "DELETE"]


def test_a_cancelled_push_is_cancelled_at_the_registry(tmp_path: Path) -> None:
    async def work() -> list[str]:
        inbox = Inbox(lambda seen: Answer(delay=60) if seen.method == "PATCH" else None)
        async with serving(inbox) as server, Session(options(tmp_path)) as session:
            upload = Upload(session, source(session, server.host), descriptor(BLOB), lambda: io.BytesIO(BLOB))
            with trio.move_on_after(1):
                await upload.run()
            return methods(server)

    assert run(work)[-1] == "DELETE"


def test_blobs_are_mounted(tmp_path: Path) -> None:
    def mounted(seen: Seen) -> Answer | None:
        return Answer(201, {"Location": "/v2/a/b/blobs/x"}) if seen.query.get("from") == ["c/d"] else None

    outcome, server = send(tmp_path, Inbox(mounted), BLOB, mount_from=("c/d",))
    assert (outcome, methods(server)) == (Outcome.MOUNTED, ["HEAD", "POST"])
    assert server.seen[-1].query == {"mount": [str(Digest.of(BLOB))], "from": ["c/d"]}


def test_a_mount_that_is_refused_is_an_upload(tmp_path: Path) -> None:
    inbox = Inbox()
    outcome, server = send(tmp_path, inbox, BLOB, mount_from=("c/d",))
    assert (outcome, methods(server)) == (Outcome.PUSHED, ["HEAD", "POST", "PATCH", "PUT"])
    assert inbox.blobs


def test_a_digest_that_the_registry_made_up(tmp_path: Path) -> None:
    def other(seen: Seen) -> Answer | None:
        return Answer(201, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}) if seen.method == "PUT" else None

    with pytest.raises(MismatchError, match="blob as stored"):
        send(tmp_path, Inbox(other), BLOB)


@pytest.mark.parametrize("place", ["", "ftp://h/x", "http://[::1/"])
def test_uploads_that_lead_nowhere(tmp_path: Path, place: str) -> None:
    headers = {"Location": place} if place else {}
    with pytest.raises(ProtocolError):
        send(tmp_path, Inbox(lambda seen: Answer(202, headers) if seen.method == "POST" else None), BLOB)


def test_places_elsewhere_get_no_rights(tmp_path: Path) -> None:
    from lamina_runtime.registry.credentials import Credential

    async def work() -> Server:
        storage = Inbox()
        async with serving(storage) as other:

            def handler(seen: Seen) -> Answer:
                if "authorization" not in seen.headers:
                    return problem(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="x"')
                return (
                    Answer(404) if seen.method == "HEAD" else Answer(202, {"Location": f"{other.url}/v2/u"})
                )

            settings = options(tmp_path, credential=Credential("ann", "secret"))
            async with serving(handler) as server, Session(settings) as session:
                place = source(session, server.host)
                await Upload(session, place, descriptor(BLOB), lambda: io.BytesIO(BLOB)).run()
                return other

    assert all("authorization" not in seen.headers for seen in run(work).seen)
