"""Who we are at a registry: the auth files that docker and podman share.

Theory. The first file with an entry wins: an explicit one alone (`--authfile`, `$REGISTRY_AUTH_FILE`), else
docker's, else podman's. In a file a helper for the host comes before `credsStore`, and that before `auths`.
Keys may name a registry or a path below it, and the longest one that covers the image wins, as podman has
it. Docker Hub is one registry under many names; its key is docker's `https://index.docker.io/v1/`.

Not here: writing (`authfile`), the helpers' protocol (`helpers`), what the registry says to it all.
"""

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamina_runtime.errors import LaminaError, UsageError
from lamina_runtime.registry import authfile
from lamina_runtime.registry.helpers import Helper, Secret

HUB_KEY = "https://index.docker.io/v1/"
HUB = "docker.io"
HUB_NAMES = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
TOKEN_USER = "<token>"


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and password, or a token in place of them."""

    username: str = ""
    password: str = ""
    identity_token: str = ""  # an OAuth2 refresh token
    registry_token: str = ""  # a bearer token as it is

    @classmethod
    def parse(cls, text: str) -> "Credential":
        """Read `user:password`, as `--creds` has it."""
        username, colon, password = text.partition(":")
        if not username or not colon:
            raise UsageError("credentials are written USER:PASSWORD")
        return cls(username, password)

    def __repr__(self) -> str:
        return f"Credential({self.username!r}, ...)"  # never in a log


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a login went; `plain` if anybody who may read the file can read the password."""

    where: str
    plain: bool


def normalise(key: str) -> str:
    """Return an entry's key without scheme, API version and Docker Hub's other names."""
    text = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    for version in ("/v1", "/v2"):
        text = text.removesuffix(version)
    host, slash, path = text.partition("/")
    return (HUB if host in HUB_NAMES else host) + slash + path


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files and helpers of one user."""

    environment: Mapping[str, str]
    uid: int
    explicit: Path | None = None

    def files(self) -> list[Path]:
        """Return the files to look into, the first with an entry wins."""
        chosen = self.explicit or self.environment.get("REGISTRY_AUTH_FILE")
        if chosen:
            return [Path(chosen)]
        xdg = self.environment.get("XDG_CONFIG_HOME", "")
        config = Path(xdg) if os.path.isabs(xdg) else self._home() / ".config"
        runtime = self.environment.get("XDG_RUNTIME_DIR", "")
        run = Path(runtime) if os.path.isabs(runtime) else Path(f"/run/containers/{self.uid}")
        at = run / "containers/auth.json" if os.path.isabs(runtime) else run / "auth.json"
        return [self._docker(), at, config / "containers/auth.json"]

    def _home(self) -> Path:
        return Path(self.environment.get("HOME", "/"))

    def _docker(self) -> Path:
        chosen = self.environment.get("DOCKER_CONFIG")
        return (Path(chosen) if chosen else self._home() / ".docker") / "config.json"

    def target(self) -> Path:
        """Return the file that logins are written to."""
        return self.files()[0]

    def get(self, registry: str, repository: str = "") -> Credential | None:
        """Return what is known for a registry or, better, for a repository there."""
        for number, path in enumerate(self.files()):
            # /run/containers is root's alone; that a plain user has nothing there is no mistake of his.
            document = authfile.read(path, passable=number > 0)
            found = self._in_file(document, f"{normalise(registry)}/{repository}".rstrip("/"))
            if found:
                return found
        return None

    def headers(self) -> dict[str, str]:
        """Return `HttpHeaders` of docker's file: what its owner wants every registry to see."""
        found = authfile.read(self.files()[0]).get("HttpHeaders", {})
        return {name: value for name, value in found.items() if isinstance(value, str)}

    def store(self, registry: str, credential: Credential) -> Stored:
        """Keep a credential: in the helper of the file, else in the file itself."""
        path, key = self.target(), _key(registry)
        document = authfile.read(path)
        helper = self._helper(document, normalise(registry))
        if helper is None:
            entry = _entry(credential)
        else:
            helper.store(key, _secret(credential))
            entry = {}

        def change(file: dict[str, Any]) -> None:
            auths = file.setdefault("auths", {})
            for same in [other for other in auths if normalise(other) == normalise(key)]:
                del auths[same]
            auths[key] = entry

        authfile.update(path, change)
        where = str(path) if helper is None else f"docker-credential-{helper.name}"
        return Stored(where, plain=helper is None)

    def erase(self, registry: str) -> bool:
        """Forget a registry in the file that logins go to; say whether anything was known."""
        path, wanted = self.target(), normalise(registry)
        document = authfile.read(path)
        keys = [key for key in document.get("auths", {}) if normalise(key) == wanted]
        helper = self._helper(document, wanted)
        known = bool(keys)
        if helper is not None:
            known = known or helper.get(_key(registry)) is not None
            helper.erase(_key(registry))
        if keys:

            def change(file: dict[str, Any]) -> None:
                for key in keys:
                    file.get("auths", {}).pop(key, None)

            authfile.update(path, change)
        return known

    def _in_file(self, document: dict[str, Any], name: str) -> Credential | None:
        keys = {normalise(key): key for key in document.get("auths", {})}
        for candidate in _scopes(name):
            helper = self._helper(document, candidate, default="/" not in candidate)
            found = helper.get(_key(candidate)) if helper else None
            if found:
                return _from_secret(found)
            if candidate in keys:
                credential = _from_entry(keys[candidate], document["auths"][keys[candidate]])
                if credential:
                    return credential
        return None

    def _helper(self, document: dict[str, Any], name: str, *, default: bool = True) -> Helper | None:
        by_host = {normalise(key): value for key, value in document.get("credHelpers", {}).items()}
        chosen = by_host.get(name) or (document.get("credsStore") if default else None)
        return Helper(chosen, self.environment) if isinstance(chosen, str) and chosen else None


def _key(registry: str) -> str:
    """Return the key under which docker files a registry."""
    name = normalise(registry)
    return HUB_KEY if name == HUB else name


def _scopes(name: str) -> Iterator[str]:
    """Yield `host/a/b`, `host/a`, `host`."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _entry(credential: Credential) -> dict[str, str]:
    if credential.identity_token:
        pair = f"{credential.username}:"
        return {"auth": _encode(pair), "identitytoken": credential.identity_token}
    return {"auth": _encode(f"{credential.username}:{credential.password}")}


def _encode(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def _secret(credential: Credential) -> Secret:
    if credential.identity_token:
        return Secret(TOKEN_USER, credential.identity_token)
    return Secret(credential.username, credential.password)


def _from_secret(secret: Secret) -> Credential:
    if secret.username == TOKEN_USER:
        return Credential(identity_token=secret.secret)
    return Credential(secret.username, secret.secret)


def _from_entry(key: str, entry: object) -> Credential | None:
    """Return the credential in an entry of `auths`; an empty one stands for one that a helper keeps."""
    if not isinstance(entry, dict):
        raise LaminaError(f"auth file: the entry of {key} is not an object")
    values = {name: value for name, value in entry.items() if isinstance(value, str)}
    username, password = values.get("username", ""), values.get("password", "")
    if values.get("auth"):
        try:
            decoded = base64.b64decode(values["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise LaminaError(f"auth file: the entry of {key} is not base64") from exc
        username, _, password = decoded.rstrip("\0").partition(":")
    found = Credential(username, password, values.get("identitytoken", ""), values.get("registrytoken", ""))
    return found if username or found.identity_token or found.registry_token else None
