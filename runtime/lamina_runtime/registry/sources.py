"""Where an image may come from: its registry behind mirrors, rewritten, blocked, secure or not.

Theory. `plan()` turns a reference and the configuration into the list of places to ask, in order. A place
is a host, a repository there, and how far it may be trusted: plain HTTP is spoken only with hosts on this
machine and those that are declared insecure, and certificates are not checked only for the latter.
"""

from dataclasses import dataclass

from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.configuration import Configuration, Mirror, Rule
from lamina_runtime.registry.failures import BlockedError
from lamina_runtime.registry.proxies import is_loopback

HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Host:
    """One registry server."""

    name: str  # as users and auth files call it: docker.io
    insecure: bool = False  # certificates are not checked, plain HTTP is fine
    mirror: bool = False  # not whom the user named: gets no credentials that were given for that one

    @property
    def authority(self) -> str:
        """The host and port to connect to."""
        return HUB_HOST if self.name == HUB else self.name

    @property
    def may_be_plain(self) -> bool:
        """Whether plain HTTP may be spoken if TLS is not."""
        bare = self.authority.rpartition(":")[0] if _has_port(self.authority) else self.authority
        return self.insecure or is_loopback(bare.strip("[]").lower())


@dataclass(frozen=True, slots=True)
class Source:
    """A repository on a server; `namespace` is the registry that a mirror stands for."""

    host: Host
    repository: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.host.name}/{self.repository}"


def _has_port(authority: str) -> bool:
    return authority.rpartition(":")[2].isdigit() and not authority.endswith("]")


def plan(
    reference: Reference, configuration: Configuration, *, tls_verify: bool | None = None, push: bool = False
) -> tuple[Source, ...]:
    """Return the sources of `reference`, best first; mirrors are read from only."""
    rule = configuration.rule(str(reference)) or Rule(prefix=reference.registry)
    if rule.blocked:
        raise BlockedError(
            f"{reference.familiar_name}: the registry is blocked by the configuration ({rule.prefix})"
        )
    sources = []
    for mirror in () if push else rule.mirrors:
        if _applies(mirror, reference):
            name = rule.rewrite(reference.name, mirror.location)
            source = _source(name, _insecure(tls_verify, mirror.insecure), mirror=True)
            if source.repository == reference.repository and source.host.name != reference.registry:
                source = Source(source.host, source.repository, namespace=reference.registry)
            sources.append(source)
    origin = rule.rewrite(reference.name, rule.location)
    sources.append(_source(origin, _insecure(tls_verify, rule.insecure)))
    return tuple(sources)


def host(registry: str, configuration: Configuration, *, tls_verify: bool | None = None) -> Host:
    """Return the server of a registry that is asked as such (login, search)."""
    rule = configuration.rule(registry) or Rule(prefix=registry)
    if rule.blocked:
        raise BlockedError(f"{registry}: the registry is blocked by the configuration")
    return Host(registry, _insecure(tls_verify, rule.insecure))


def _insecure(tls_verify: bool | None, configured: bool) -> bool:  # noqa: FBT001 - both are the user's words
    return configured if tls_verify is None else not tls_verify


def _applies(mirror: Mirror, reference: Reference) -> bool:
    match mirror.pull:
        case "digest-only":
            return reference.digest is not None
        case "tag-only":
            return reference.digest is None
    return True


def _source(name: str, insecure: bool, *, mirror: bool = False) -> Source:  # noqa: FBT001 - see above
    registry, _, repository = name.partition("/")
    return Source(Host(registry, insecure, mirror), repository)
