"""Health checks: what is to be asked, and what the monitor has found out (native/launch/health.h)."""

from __future__ import annotations

from lamina_runtime.container.records import Op, Record
from lamina_runtime.oci import json
from lamina_runtime.oci.container import Healthcheck
from lamina_runtime.oci.errors import OciError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from lamina_runtime.container.state import Container

SECOND = 1_000_000_000  # nanoseconds
INTERVAL, TIMEOUT, START_INTERVAL, RETRIES = 30 * SECOND, 30 * SECOND, 5 * SECOND, 3  # docker's
SHELL = ("/bin/sh", "-c")
LARGEST = 1 << 20  # of what the monitor writes


def merged(image: Healthcheck | None, wished: Healthcheck | None) -> Healthcheck | None:
    """Return what is to be asked: what was wished, and the image's where nothing was."""
    if wished is None or image is None:
        return wished or image
    return Healthcheck(
        test=wished.test or image.test,
        interval=wished.interval or image.interval,
        timeout=wished.timeout or image.timeout,
        start_period=wished.start_period or image.start_period,
        start_interval=wished.start_interval or image.start_interval,
        retries=wished.retries or image.retries,
    )


def command(check: Healthcheck | None, shell: Sequence[str] = ()) -> list[str]:
    """Return the words of the command; none where nothing is asked."""
    kind, *words = check.test if check and check.test else ("NONE",)
    if kind == "CMD-SHELL" and words:
        return [*(shell or SHELL), words[0]]
    return words if kind == "CMD" else []


def records(check: Healthcheck | None, shell: Sequence[str] = ()) -> Iterator[Record]:
    """Yield what the monitor is told."""
    words = command(check, shell)
    if not check or not words:
        return
    times = (
        check.interval or INTERVAL,
        check.timeout or TIMEOUT,
        check.start_period,
        check.start_interval or START_INTERVAL,
    )
    # an image may say anything; what is no time is the shortest one
    rounded = [max(0 if at == 2 else 1, min(time, 1 << 62) // 1_000_000) for at, time in enumerate(times)]
    yield Record(Op.HEALTH, *rounded, max(1, min(check.retries or RETRIES, 1 << 30)))
    for word in words:
        yield Record(Op.PROBE, word)


def state(container: Container) -> dict[str, Any] | None:
    """Return docker's State.Health; None where nothing is asked, or nothing ran yet."""
    try:
        with (container.data / "health").open("rb") as file:
            found = json.load(file.read(LARGEST), "health")
    except (FileNotFoundError, OciError):
        return None
    return found if isinstance(found, dict) else None


def word(container: Container) -> str:
    """Return "starting", "healthy" or "unhealthy"; "none" where nothing is asked."""
    found = state(container)
    return str(found.get("Status", "none")) if found else "none"
