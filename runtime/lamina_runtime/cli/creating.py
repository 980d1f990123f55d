"""Make a container as the flags of `run` and `create` say."""

from __future__ import annotations

import os

from lamina_runtime import contexts
from lamina_runtime.cli import output
from lamina_runtime.cli.wishing import wishes
from lamina_runtime.engine import containers, naming
from lamina_runtime.errors import NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Wishes
    from lamina_runtime.engine.context import Engine

PULL = ("always", "missing", "never")


def create(parsed: Parsed, engine: Engine) -> Container:
    """Make the container; its image is pulled if it is not there."""
    wished = wishes(parsed)
    policy = parsed.text("pull")
    if policy not in PULL:
        raise UsageError(f"invalid pull option: {policy!r}: must be one of {', '.join(PULL)}")
    cidfile = parsed.text("cidfile")
    if not cidfile:
        return _made(parsed, engine, wished)
    with _new(cidfile) as file:
        made = _made(parsed, engine, wished)
        try:
            file.write(made.id)
            file.flush()
        except OSError:
            containers.remove(engine, made, volumes=True)  # nobody would know of it
            raise
    return made


@contexts.contextmanager
def _new(path: str) -> Iterator[TextIO]:
    """Yield a file that was not there before, and is not there after a failure."""
    try:
        file = open(path, "x", encoding="ascii")  # noqa: SIM115 - closed below
    except FileExistsError:
        raise UsageError(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from None
    try:
        with file:
            yield file
    except BaseException:
        os.unlink(path)
        raise


def _made(parsed: Parsed, engine: Engine, wished: Wishes) -> Container:
    policy, platform = parsed.text("pull"), parsed.text("platform")
    word = parsed.arguments[0]
    present = policy != "always" and _present(engine, word, platform)
    if not present and policy == "never":
        raise NotFoundError(f"no such image here: {word}{f' for {platform}' if platform else ''}")
    if not present:
        _pull(parsed, engine, word)
    if wished.networks:
        from lamina_runtime.engine import networks

        networks.check(engine, wished.networks)
    if parsed.several("volumes_from"):
        from lamina_runtime.engine import volumes

        wished = volumes.taken_from(containers.containers(engine), parsed.several("volumes_from"), wished)
    return containers.create(engine, word, wished, name=parsed.text("name"))


def _present(engine: Engine, word: str, platform: str) -> bool:
    """Say whether an image is here, and of the platform that is wanted."""
    try:
        found = naming.resolve(engine.store, word).image.config.platform
    except NotFoundError:
        return False
    if not platform:
        return True
    from lamina_runtime.oci.platform import Platform

    wanted = Platform.parse(platform)
    same = (found.os, found.architecture) == (wanted.os, wanted.architecture)
    return same and (not wanted.variant or not found.variant or wanted.variant == found.variant)


def _pull(parsed: Parsed, engine: Engine, word: str) -> None:
    from lamina_runtime.cli import progress
    from lamina_runtime.engine import transfers

    reference, _ = transfers.wanted_reference(word, all_tags=False)
    quiet = parsed.switch("quiet")
    if not quiet:
        output.note(f"Unable to find image '{reference.familiar}' locally")
    with progress.make(quiet=quiet) as shown:
        transfers.pull(
            engine,
            reference,
            all_tags=False,
            platform=parsed.text("platform"),
            access=transfers.Access(),
            progress=shown,
            keep_blobs=True,
        )
