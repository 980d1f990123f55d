"""What tests of the registry client share: options of a machine of their own, trio with a deadline,
digests."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import trio
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.backoff import RetryPolicy
from lamina_runtime.registry.credentials import Credentials
from lamina_runtime.registry.options import SessionOptions, Timeouts
from lamina_runtime.registry.session import Session
from lamina_runtime.registry.sources import Source

from tests.support.scripted import Answer

T = TypeVar("T")
SECONDS = 60
FAST = RetryPolicy(attempts=4, step=0.02, longest=0.05, budget=5.0)
OCTETS = "application/octet-stream"


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a test's coroutine with a deadline."""

    async def bounded() -> T:
        with trio.fail_after(SECONDS):
            return await work()

    return trio.run(bounded)


def failure(group: BaseException) -> BaseException:
    """Return the failure that a test server's nursery wrapped."""
    while isinstance(group, BaseExceptionGroup):
        (group,) = group.exceptions
    return group


def options(home: Path, environment: Mapping[str, str] | None = None, **changes: Any) -> SessionOptions:
    """Return options of a user whose home is `home`, with no waits worth noticing."""
    surroundings = {"HOME": str(home), "PATH": "/usr/bin:/bin", **(environment or {})}
    defaults: dict[str, Any] = {
        "credentials": Credentials(surroundings, 1000),
        "environment": surroundings,
        "retry": FAST,
        "timeouts": Timeouts(connect=5, silence=10, small=20),
    }
    return SessionOptions(**{**defaults, **changes})


def source(session: Session, host: str, repository: str = "a/b") -> Source:
    """Return a repository at a test server."""
    return session.sources(Reference.parse(f"{host}/{repository}:latest"))[-1]


def descriptor(data: bytes, media_type: str = OCTETS, algorithm: str = "sha256") -> Descriptor:
    """Return the descriptor of some content."""
    return Descriptor(media_type, Digest.of(data, algorithm), len(data))


def document(value: object, status: int = 200, **headers: str) -> Answer:
    """Return an answer in JSON."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, {"Content-Type": "application/json", **names}, json.dumps(value).encode())


def problem(status: int, code: str, **headers: str) -> Answer:
    """Return a refusal as registries write it."""
    return document({"errors": [{"code": code, "message": f"it is {code.lower()}"}]}, status, **headers)
