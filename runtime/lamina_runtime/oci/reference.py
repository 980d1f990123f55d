"""Names of images: `debian`, `localhost:5000/team/app:1.2`, `quay.io/a/b@sha256:…`.

Theory.  The grammar is that of distribution's `reference` package, the habits are docker's: what
comes before the first slash is a registry if it has a dot, a colon or a capital letter, or is
`localhost`; otherwise the name is one of docker.io, and without a slash one of its `library/`.
"""

from __future__ import annotations

from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import OciError
from lamina_runtime.value import replace, value

DOCKER = "docker.io"
OLD_DOCKER = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
MAX_NAME = 255
MAX_LABEL = 63  # of a part of a host, as names of hosts have it
MAX_PORT = 65535
MAX_TEXT = 1024  # a name, a tag and the longest digest, and some room for the error's text

_DIGITS = frozenset("0123456789")
_SMALL = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyz")
_LETTERS = _SMALL | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = frozenset("0123456789abcdef")
_ADDRESS = _HEX | frozenset("ABCDEF:")
_NO_PUNCTUATION = str.maketrans("", "", "._-")
_APART = str.maketrans(dict.fromkeys(_SMALL, "/"))


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
        if len(text) == 64 and _HEX.issuperset(text):
            raise OciError(f"{text!r} is an image id, not a reference")
        rest, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        tag = None
        if ":" in rest.rpartition("/")[2]:
            rest, _, tag = rest.rpartition(":")
            _check(_is_tag(tag), tag, text, "tag")
        registry, repository = _split(rest)
        _check(is_host(registry), registry, text, "registry")
        _check(_is_repository(repository), repository, text, "repository")
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
        _check(_is_tag(tag), tag, tag, "tag")
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


# The grammar's regular expressions, by hand: `re` is a tenth of the time that a listing has.


def _is_tag(text: str) -> bool:
    """[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}."""
    return (
        0 < len(text) <= 128 and text[0] not in ".-" and _LETTERS.issuperset(text.translate(_NO_PUNCTUATION))
    )


def _is_repository(text: str) -> bool:
    r"""Parts between slashes, each [a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*."""
    return all(
        part
        and part[0] in _SMALL
        and part[-1] in _SMALL
        and all(run in (".", "_", "__") or not run.strip("-") for run in part.translate(_APART).split("/"))
        for part in text.split("/")
    )


def is_host(text: str) -> bool:
    """Labels [a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])? with dots between, or [address], and a port or none."""
    if len(text) > MAX_NAME:
        return False
    host, colon, port = text, "", "0"
    if not text.endswith("]"):
        before, colon, after = text.rpartition(":")
        host, port = (before, after) if colon else (text, port)
    if not port or len(port) > len(str(MAX_PORT)) or not _DIGITS.issuperset(port) or int(port) > MAX_PORT:
        return False
    if host[:1] == "[":
        return host[-1] == "]" and _is_address(host[1:-1])
    return all(
        0 < len(label) <= MAX_LABEL
        and label[0] != "-"
        and label[-1] != "-"
        and _LETTERS.issuperset(label.replace("-", ""))
        for label in host.split(".")
    )


def _is_address(text: str) -> bool:
    """Tell whether it is an address of IPv6, without a zone."""
    if not _ADDRESS.issuperset(text):
        return False
    import socket

    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def _check(good: bool, part: str, text: str, what: str) -> None:  # noqa: FBT001 - what was found of `part`
    if good:
        return
    hint = "repository names are lower-case" if what == "repository" and part.lower() != part else ""
    raise OciError(f"{text!r} is not a reference: bad {what} {part.removeprefix(OFFICIAL)!r}", hint=hint)
