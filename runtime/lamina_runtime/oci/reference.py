"""Names of images: `debian`, `localhost:5000/team/app:1.2`, `quay.io/a/b@sha256:…`.

Theory.  The grammar is that of distribution's `reference` package, the habits are docker's: what
comes before the first slash is a registry if it has a dot, a colon or a capital letter, or is
`localhost`; otherwise the name is one of docker.io, and without a slash one of its `library/`.
"""

from __future__ import annotations

import re

from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import OciError
from lamina_runtime.value import replace, value

DOCKER = "docker.io"
OLD_DOCKER = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
MAX_NAME = 255
MAX_TEXT = 1024  # a name, a tag and the longest digest, and some room for the error's text

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


@value
class Reference:
    """The full name of an image.  Without a tag it has a digest."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name as docker reads it; without tag and digest the tag is `latest`."""
        if len(text) > MAX_TEXT:
            raise OciError(f"a reference of {len(text)} characters is too long")
        if _IMAGE_ID.fullmatch(text):
            raise OciError(f"{text!r} is an image id, not a reference")
        rest, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        tag = None
        if ":" in rest.rpartition("/")[2]:
            rest, _, tag = rest.rpartition(":")
            _check(_TAG, tag, text, "tag")
        registry, repository = _split(rest)
        _check(_REGISTRY, registry, text, "registry")
        _check(_REPOSITORY, repository, text, "repository")
        if len(registry) + 1 + len(repository) > MAX_NAME:
            raise OciError(f"{text!r}: a name has at most {MAX_NAME} characters")
        return cls(registry, repository, tag if tag or digest else DEFAULT_TAG, digest)

    @property
    def name(self) -> str:
        """The full name without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar_name(self) -> str:
        """The name as docker shows it, without tag and digest."""
        if self.registry != DOCKER:
            return self.name
        short = self.repository.removeprefix(OFFICIAL)
        for name in (short, self.repository):
            if _split(name) == (self.registry, self.repository):
                return name
        return self.name  # its first part looks like a registry

    @property
    def familiar(self) -> str:
        """The whole reference as docker shows it."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_tag(self, tag: str) -> Reference:
        """Return the same name with this tag and no digest."""
        _check(_TAG, tag, tag, "tag")
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> Reference:
        """Return the same name with this digest and no tag."""
        return replace(self, tag=None, digest=digest)


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or any(c in ".:[" for c in first) or first.lower() != first):
        registry, repository = first, rest
    else:
        registry, repository = DOCKER, name
    if registry == OLD_DOCKER:
        registry = DOCKER
    if registry == DOCKER and "/" not in repository:
        repository = OFFICIAL + repository
    return registry, repository


def _check(form: re.Pattern[str], part: str, text: str, what: str) -> None:
    if form.fullmatch(part):
        return
    hint = "repository names are lower-case" if what == "repository" and part.lower() != part else ""
    raise OciError(f"{text!r} is not a reference: bad {what} {part.removeprefix(OFFICIAL)!r}", hint=hint)
