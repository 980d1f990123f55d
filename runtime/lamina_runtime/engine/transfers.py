"""What speaks to registries: pull, push, search, login, logout.  The only place that starts trio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lamina_unionfs.complete_path import complete

from lamina_runtime.engine import naming
from lamina_runtime.engine.machine import own_platform
from lamina_runtime.errors import UsageError
from lamina_runtime.oci.platform import Platform
from lamina_runtime.oci.reference import DOCKER, Reference, is_host

if TYPE_CHECKING:
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.registry.login import LoggedIn
    from lamina_runtime.registry.options import SessionOptions
    from lamina_runtime.registry.progress import Progress
    from lamina_runtime.registry.pull import Pulled
    from lamina_runtime.registry.push import Pushed
    from lamina_runtime.registry.search import Found

HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
ROOTS = ("", "v1", "v2")  # paths that a registry's URL may have


class Access(NamedTuple):
    """How registries are to be spoken to, as flags say; None and "" leave it to the configuration."""

    tls_verify: bool | None = None
    auth_file: str = ""
    certificate_dir: str = ""
    credential: str = ""  # NAME[:PASSWORD]


def options(access: Access) -> SessionOptions:
    """Return the options of a session in this process."""
    complete()
    from lamina_runtime.registry.credentials import Credential
    from lamina_runtime.registry.options import from_process

    return from_process(
        auth_file=Path(access.auth_file) if access.auth_file else None,
        certificate_dir=Path(access.certificate_dir) if access.certificate_dir else None,
        credential=Credential.parse(access.credential) if access.credential else None,
        tls_verify=access.tls_verify,
    )


def pull(
    engine: Engine,
    reference: Reference,
    *,
    all_tags: bool,
    platform: str,
    access: Access,
    progress: Progress,
    keep_blobs: bool,
) -> list[Pulled]:
    """Bring what a reference names, or all tags of its repository, into the store."""
    session = options(access)
    import trio

    from lamina_runtime.registry import pull as verbs

    wanted = Platform.parse(platform) if platform else own_platform()

    async def run() -> list[Pulled]:
        if all_tags:
            return await verbs.pull_all_tags(
                engine.store,
                reference,
                platform=wanted,
                strict=bool(platform),
                options=session,
                progress=progress,
                keep_blobs=keep_blobs,
            )
        return [
            await verbs.pull(
                engine.store,
                reference,
                platform=wanted,
                strict=bool(platform),
                options=session,
                progress=progress,
                keep_blobs=keep_blobs,
            )
        ]

    pulled = trio.run(run)
    _note_limits(pulled)
    return pulled


def _note_limits(pulled: list[Pulled]) -> None:
    import logging

    for one in pulled:
        limit = one.rate_limit
        if limit is not None:
            logging.getLogger(__name__).debug(
                "%s: %d of %d pulls left in %d s",
                one.reference.registry,
                limit.remaining,
                limit.limit,
                limit.window,
            )


def meant(word: str, access: Access) -> tuple[str, ...]:
    """Return the names that a word may mean under registries.conf, in the order to try them."""
    return options(access).configuration.candidates(word)


def wanted_reference(word: str, *, all_tags: bool) -> tuple[Reference, bool]:
    """Read what to pull or push; also return whether the tag is the default one."""
    reference = Reference.parse(word)
    plain = ":" not in word.rpartition("/")[2] and reference.digest is None
    if all_tags and not plain:
        raise UsageError("tag can't be used with --all-tags/-a")
    return reference, plain and not all_tags


def push(
    engine: Engine,
    reference: Reference,
    *,
    access: Access,
    progress: Progress,
    compression: str | None,
    platform: str = "",
) -> Pushed:
    """Send an image to its registry; with a platform, its manifest alone."""
    session = options(access)
    if platform:
        naming.resolve_for(engine.store, str(reference), platform)
    import trio

    from lamina_runtime.registry import push as verbs

    async def run() -> Pushed:
        return await verbs.push(
            engine.store,
            reference,
            options=session,
            progress=progress,
            compression=compression,
            alone=bool(platform),
        )

    return trio.run(run)


def tags_of(engine: Engine, reference: Reference) -> list[Reference]:
    """Return all names here of a reference's repository."""
    return [
        named.reference
        for named in engine.store.references.list()
        if named.reference.name == reference.name and named.reference.tag
    ]


def search(term: str, *, limit: int, access: Access) -> list[Found]:
    """Ask a registry for repositories; `term` may begin with the registry's name."""
    session = options(access)
    import trio

    from lamina_runtime.registry import search as verbs
    from lamina_runtime.registry.sources import HUB

    first, slash, rest = term.partition("/")
    registry = first if slash and ("." in first or ":" in first or first == "localhost") else HUB

    async def run() -> list[Found]:
        return await verbs.search(term if registry == HUB else rest, session, registry=registry, limit=limit)

    return trio.run(run)


def registry_name(word: str) -> str:
    """Return a registry's name as login takes it: with a scheme or without, nothing for Docker Hub.

    It is a host always: unlike in an image's name, one word without dots is not a repository of the Hub.
    """
    if not word:
        return DOCKER
    scheme, found, rest = word.partition("://")
    host, _, path = (rest if found else word).partition("/")
    if (found and scheme not in ("http", "https")) or path.rstrip("/") not in ROOTS or not is_host(host):
        raise UsageError(f"{word!r} is not a registry", hint="HOST or HOST:PORT")
    return DOCKER if host in HUB_NAMES else host


def login(registry: str, *, username: str, password: str, access: Access) -> LoggedIn:
    """Try a name and password at a registry and keep them."""
    session = options(access)
    import trio

    from lamina_runtime.registry import login as verbs
    from lamina_runtime.registry.credentials import Credential

    async def run() -> LoggedIn:
        return await verbs.login(registry, Credential(username, password), session)

    return trio.run(run)


def logout(registry: str, *, access: Access) -> bool:
    """Forget a registry's credentials; say whether there were any."""
    session = options(access)
    from lamina_runtime.registry import login as verbs

    return verbs.logout(registry, session)
