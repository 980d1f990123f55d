"""Authorization at one registry: what to send, and what to do about a challenge.

Theory. The first request goes without rights; the challenge in the 401 says how to get them. From then on a
token is fetched before a request for scopes that none is known for, once for all tasks that wait for it. A
challenge to a request that had a token means that it was too old or too weak: one more is fetched, for the
challenge's scopes too, and a second refusal is final.

Not here: how a token is asked for (`tokens`).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from lamina_runtime.registry.challenges import Challenge
from lamina_runtime.registry.credentials import Credential
from lamina_runtime.registry.tokens import Realm, Token, TokenClient

MAX_SCOPES = 16


@dataclass(frozen=True, slots=True)
class Rights:
    """What a request needs; `repository` picks the credential."""

    repository: str = ""
    scopes: frozenset[str] = frozenset()  # like `repository:a/b:pull,push`

    @classmethod
    def to(cls, repository: str, actions: str, *, read_from: Sequence[str] = ()) -> "Rights":
        """Return the rights to do `actions` in a repository and pull from others (to mount blobs)."""
        others = {f"repository:{other}:pull" for other in read_from}
        return cls(repository, frozenset({f"repository:{repository}:{actions}"} | others))


class Authorizer:
    """The state for one host, shared by all tasks of a session."""

    def __init__(self, client: TokenClient, *, plain: bool) -> None:
        self._client, self._plain = client, plain
        self._realm: Realm | None = None
        self._basic = False
        self._tokens: dict[frozenset[str], Token] = {}
        self._lock = trio.Lock()

    @property
    def identity_token(self) -> str:
        """The refresh token that came with an access token, if any did."""
        return next((token.refresh for token in self._tokens.values() if token.refresh), "")

    async def header(self, rights: Rights) -> str | None:
        """Return the Authorization to send, None for none."""
        credential = await self._client.credential(rights.repository)
        if credential and credential.registry_token:
            return f"Bearer {credential.registry_token}"
        if self._realm:
            async with self._lock:
                return f"Bearer {(await self._token(self._realm, rights, frozenset())).value}"
        return _basic(credential) if self._basic and credential else None

    async def challenged(
        self, challenges: Sequence[Challenge], rights: Rights, *, sent: str | None, first: bool
    ) -> bool:
        """Learn from a 401 to a request with Authorization `sent`; say whether to try again."""
        bearer = next((c for c in challenges if c.scheme == "bearer" and c.parameters.get("realm")), None)
        if bearer is not None:
            async with self._lock:
                known = self._tokens.get(rights.scopes)
                if known and sent != f"Bearer {known.value}":
                    return True  # another task was faster
                if not first:
                    return False
                self._tokens.pop(rights.scopes, None)
                self._realm = Realm.of(bearer, plain=self._plain)
                asked = frozenset(bearer.parameters.get("scope", "").split()[:MAX_SCOPES])
                await self._token(self._realm, rights, asked)
            return True
        if any(c.scheme == "basic" for c in challenges):
            credential = await self._client.credential(rights.repository)
            self._basic = True
            return bool(credential and credential.username) and sent is None
        return False

    async def _token(self, realm: Realm, rights: Rights, asked: frozenset[str]) -> Token:
        """Return a token for the rights, fetched if none is good; the lock is held."""
        token = self._tokens.get(rights.scopes)
        if token is None or token.expires <= trio.current_time():
            token = await self._client.fetch(realm, rights.repository, sorted(rights.scopes | asked))
            self._tokens[rights.scopes] = token
        return token


def _basic(credential: Credential) -> str | None:
    if not credential.username:
        return None
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
