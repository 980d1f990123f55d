"""A token server as docker-registry trusts it: signs JWTs with a key whose certificate the registry knows."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.certificates import Pair

SERVICE = "lamina-registry"
ISSUER = "lamina-tokens"


@dataclass
class TokenServer:
    """A running token server, what it knows and what it was asked."""

    signer: Pair
    users: Mapping[str, str]
    url: str = ""
    lifetime: int = 300
    refresh_tokens: dict[str, str] = field(default_factory=dict)  # token to user
    with_get: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)

    def section(self) -> dict[str, str]:
        """Return the registry's `auth: token` section."""
        bundle = str(self.signer.certificate)
        return {"realm": self.url, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}

    def token(self, user: str, scopes: list[str]) -> str:
        """Return a signed token; nobody may pull from `public/`, only users from anywhere else."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            granted = actions.split(",") if user else [a for a in actions.split(",") if a == "pull"]
            if user or name.startswith("public/"):
                access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self.signer.der_base64()]}
        claims = {
            "iss": ISSUER, "sub": user, "aud": SERVICE, "exp": now + self.lifetime, "nbf": now - 10,
            "iat": now, "jti": str(len(self.asked)), "access": access,
        }  # fmt: skip
        signed = b".".join(_encode(json.dumps(part).encode()) for part in (head, claims))
        return (signed + b"." + _encode(self.signer.sign(signed))).decode()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class _Server(ThreadingHTTPServer):
    """An HTTP server with the state of ours."""

    state: TokenServer


class _Handler(BaseHTTPRequestHandler):
    """Answers for the state that hangs on the server."""

    server: _Server

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        user, given = self._basic()
        self.server.state.asked.append({"method": "GET", "user": user, **query})
        if not self.server.state.with_get:
            self._answer(405, {"details": "use POST"})
        elif given and not user:
            self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]})
        else:
            self._grant(user, query.get("scope", []), offline=bool(query.get("offline_token")))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        first = {name: values[0] for name, values in form.items()}
        self.server.state.asked.append({"method": "POST", **first})
        user = ""
        if first.get("grant_type") == "password":
            name = first["username"]
            user = name if self.server.state.users.get(name) == first["password"] else ""
        elif first.get("grant_type") == "refresh_token":
            user = self.server.state.refresh_tokens.get(first["refresh_token"], "")
        if user:
            offline = first.get("access_type") == "offline"
            self._grant(user, first.get("scope", "").split(), offline=offline)
        else:
            self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]})

    def _basic(self) -> tuple[str, bool]:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return "", False
        name, _, password = base64.b64decode(value).decode().partition(":")
        return (name if self.server.state.users.get(name) == password else ""), True

    def _grant(self, user: str, scopes: list[str], *, offline: bool) -> None:
        answer = {"token": self.server.state.token(user, scopes), "expires_in": self.server.state.lifetime}
        if offline and user:
            refresh = f"refresh-{user}"
            self.server.state.refresh_tokens[refresh] = user
            answer["refresh_token"] = refresh
        self._answer(200, answer)

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def token_server(signer: Pair, users: Mapping[str, str], *, with_get: bool = True) -> Iterator[TokenServer]:
    """Run a token server in a thread."""
    state = TokenServer(signer, users, with_get=with_get)

    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.state = state
        state.url = f"http://127.0.0.1:{server.server_address[1]}/token"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join(10)
