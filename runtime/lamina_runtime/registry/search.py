"""Search: each kind of registry has its own way, and one without any may at least list what it has.

Theory. The distribution specification has no search. Docker Hub (and some others) answer version 1's
`/v1/search`, Harbor `/api/v2.0/search`, Quay `/api/v1/find/repositories`. They are tried in this order
until one answers with a list; then the catalogue, filtered by us. Whatever is not there is passed over;
refusals are not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import json
from lamina_runtime.registry import protocol
from lamina_runtime.registry.authorization import Rights
from lamina_runtime.registry.failures import ProtocolError, RegistryError, printable
from lamina_runtime.registry.options import SessionOptions
from lamina_runtime.registry.session import Call, Session
from lamina_runtime.registry.sources import HUB, Host

HUB_INDEX = "index.docker.io"
MAX_ANSWER = 4 << 20
MAX_RESULTS = 1000
MAX_WORDS = 2048  # characters of a description
_ABSENT = frozenset({400, 401, 403, 404, 405, 406, 410, 501})


@dataclass(frozen=True, slots=True)
class Found:
    """One repository; what a registry does not tell is 0, False or empty."""

    name: str  # as one would pull it
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


Reader = Callable[[json.Object, str], list[Found]]


async def search(term: str, options: SessionOptions, *, registry: str = HUB, limit: int = 25) -> list[Found]:
    """Return up to `limit` repositories of a registry whose name or description matches."""
    limit = max(1, min(limit, MAX_RESULTS))
    async with Session(options) as session:
        index = session.host(HUB_INDEX if registry == HUB else registry)
        ways: tuple[tuple[str, dict[str, str], Reader], ...] = (
            ("v1/search", {"q": term, "n": str(min(limit, 100))}, _version_1),
            ("api/v2.0/search", {"q": term}, _harbor),
            ("api/v1/find/repositories", {"query": term}, _quay),
        )
        for path, query, read in ways:
            found = await _try(session, index, f"{path}?{urlencode(query, quote_via=quote)}")
            if found is not None:
                try:
                    return read(found, registry)[:limit]
                except LaminaError as exc:
                    raise ProtocolError(f"{registry}: {exc.brief}", details=exc.details) from exc
        names = await protocol.catalog(session, session.host(registry))
        wanted = [name for name in names if term.lower() in name.lower()]
    return [Found(_full(registry, name)) for name in wanted[:limit]]


async def _try(session: Session, host: Host, path: str) -> json.Object | None:
    """Return the answer of an interface that the registry may have; None if it has not."""
    address = f"{await session.base(host)}/{path}"
    call = Call(
        "GET", path, Rights(), headers={"Accept": "application/json"}, address=address, readable=_ABSENT
    )
    try:
        reply, body = await session.ask(host, call, limit=MAX_ANSWER)
    except RegistryError as exc:
        if exc.status in _ABSENT:
            return None
        raise
    if reply.status != 200 or "json" not in (reply.headers.get("content-type") or ""):
        return None
    try:
        found = json.load_object(body, f"{host.name}: answer to a search", limit=MAX_ANSWER)
    except LaminaError:
        return None
    return found if {"results", "repository"} & found.fields.keys() else None


def _version_1(answer: json.Object, registry: str) -> list[Found]:
    return [
        Found(
            _full(registry, entry.need_text("name")),
            _words(entry.text("description")),
            entry.integer("star_count"),
            entry.flag("is_official"),
            entry.flag("is_automated"),
        )
        for entry in answer.objects("results", limit=MAX_RESULTS)
    ]


def _harbor(answer: json.Object, registry: str) -> list[Found]:
    return [
        Found(_full(registry, entry.need_text("repository_name")))
        for entry in answer.objects("repository", limit=MAX_RESULTS)
    ]


def _quay(answer: json.Object, registry: str) -> list[Found]:
    found = []
    for entry in answer.objects("results", limit=MAX_RESULTS):
        owner = entry.inner("namespace")
        name = f"{owner.need_text('name')}/{entry.need_text('name')}" if owner else entry.need_text("name")
        stars = entry.fields.get("stars")
        count = stars if isinstance(stars, int) else 0
        found.append(Found(_full(registry, name), _words(entry.text("description")), count))
    return found


def _full(registry: str, name: str) -> str:
    return printable(name if registry == HUB else f"{registry}/{name.removeprefix(registry + '/')}")


def _words(text: str) -> str:
    """Return a description as one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:MAX_WORDS]).split())
