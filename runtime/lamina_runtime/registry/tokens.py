"""Tokens for a registry from the server that its challenge names (distribution's token and OAuth2 flows).

Theory. With a name and password: GET with Basic, as docker does; a server that has no GET (404, 405) is
asked by the OAuth2 POST. With an identity token: the POST. With nothing: GET, for an anonymous token. The
realm is the registry's word, so passwords go there only under TLS, unless the registry itself may be spoken
to without.
"""

import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

import trio

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import json
from lamina_runtime.registry.challenges import Challenge
from lamina_runtime.registry.credentials import Credential
from lamina_runtime.registry.exchange import origin
from lamina_runtime.registry.failures import ProtocolError, refusal
from lamina_runtime.registry.transport import Body, shown

CLIENT = "lamina"
LIFETIME = 60  # seconds, where the server names none; also the least
EARLY = 5  # seconds before its end a token is not used any more
LONGEST = 24 * 3600
MAX_TOKEN = 64 << 10
MAX_ANSWER = 1 << 20
_NO_SUCH_METHOD = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; `expires` on trio's clock.  `refresh` may come with it, to be kept by a login."""

    value: str
    expires: float
    refresh: str = ""


@dataclass(frozen=True, slots=True)
class Realm:
    """Where tokens are."""

    url: str
    service: str

    @classmethod
    def of(cls, challenge: Challenge, *, plain: bool) -> "Realm":
        """Read a challenge; `plain` if the registry itself may be spoken to without TLS."""
        url = challenge.parameters["realm"]
        scheme, _, _ = origin(url)
        if scheme != "https" and not plain:
            raise ProtocolError(f"the registry wants passwords sent to {shown(url)}, without TLS")
        return cls(url, challenge.parameters.get("service", ""))


class Asker(Protocol):
    """Sends a small request with retries and returns status and body."""

    async def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None
    ) -> tuple[int, bytes]:
        """Return status and body."""


class Finder(Protocol):
    """Finds the credential for a repository; may run a helper, so it is called in a thread."""

    def __call__(self, repository: str) -> Credential | None:
        """Return it."""


class TokenClient:
    """Fetches tokens for one registry; remembers credentials."""

    def __init__(self, ask: Asker, find: Finder, *, offline: bool = False) -> None:
        self._ask, self._find, self._offline = ask, find, offline
        self._found: dict[str, Credential | None] = {}
        self._lock = trio.Lock()

    async def credential(self, repository: str) -> Credential | None:
        """Return the credential for a repository of the registry."""
        async with self._lock:  # a helper may ask its user, once
            if repository not in self._found:
                self._found[repository] = await trio.to_thread.run_sync(self._find, repository)
            return self._found[repository]

    async def fetch(self, realm: Realm, repository: str, scopes: Sequence[str]) -> Token:
        """Ask for a token for `scopes`."""
        credential = await self.credential(repository)
        if credential and credential.identity_token:
            status, body = await self._post(realm, credential, scopes)
        else:
            status, body = await self._get(realm, credential, scopes)
            if status in _NO_SUCH_METHOD and credential:
                status, body = await self._post(realm, credential, scopes)
        if status != 200:
            lacking = status == 400 or (status in _NO_SUCH_METHOD and credential is None)
            host = urlsplit(realm.url).hostname
            raise refusal(f"token from {host}", 401 if lacking else status, body)
        return _read(body, realm)

    async def _get(
        self, realm: Realm, credential: Credential | None, scopes: Sequence[str]
    ) -> tuple[int, bytes]:
        query = [("service", realm.service)] if realm.service else []
        query += [("scope", scope) for scope in scopes]
        headers = {}
        if credential:
            query += [("account", credential.username), ("client_id", CLIENT)]
            query += [("offline_token", "true")] if self._offline else []
            pair = f"{credential.username}:{credential.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        joint = "&" if urlsplit(realm.url).query else "?"
        return await self._ask("GET", realm.url + joint + urlencode(query, quote_via=quote), headers, None)

    async def _post(self, realm: Realm, credential: Credential, scopes: Sequence[str]) -> tuple[int, bytes]:
        form = {"service": realm.service, "client_id": CLIENT, "scope": " ".join(scopes)}
        if credential.identity_token:
            form |= {"grant_type": "refresh_token", "refresh_token": credential.identity_token}
        else:
            form |= {
                "grant_type": "password",
                "username": credential.username,
                "password": credential.password,
            }
            form |= {"access_type": "offline"} if self._offline else {}
        data = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(data))}
        return await self._ask("POST", realm.url, headers, bytes_body(data))


def bytes_body(data: bytes) -> Body:
    """Return a body of bytes in memory."""

    async def body() -> AsyncGenerator[bytes, None]:
        yield data

    return body


def _read(body: bytes, realm: Realm) -> Token:
    try:
        found = json.load_object(body, f"token from {urlsplit(realm.url).hostname}", limit=MAX_ANSWER)
        value = found.text("token") or found.text("access_token")
        lifetime = found.integer("expires_in", LIFETIME, low=-json.MAX_INTEGER)
        refresh = found.text("refresh_token")
    except LaminaError as exc:
        raise ProtocolError(exc.brief, details=exc.details) from exc
    if not value or len(value) > MAX_TOKEN or not value.isascii() or not value.isprintable() or " " in value:
        raise ProtocolError(f"token from {urlsplit(realm.url).hostname}: there is none in the answer")
    seconds = min(max(lifetime, LIFETIME), LONGEST) - EARLY
    return Token(value, trio.current_time() + seconds, refresh)
