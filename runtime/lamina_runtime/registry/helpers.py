"""docker-credential-* programs: a user's key chain (docker/docker-credential-helpers).

Theory. `docker-credential-NAME get|store|erase|list` takes one value on stdin and answers JSON on stdout;
status 1 with a certain text on stdout means that it has nothing. A helper may ask its user, so it gets
time, not forever. Secrets go through pipes only, never through arguments or the environment.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lamina_runtime.errors import LaminaError
from lamina_runtime.registry.failures import printable

SECONDS = 60.0
MAX_OUTPUT = 1 << 20
NOT_FOUND = "credentials not found in native keychain"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class HelperError(LaminaError):
    """A credential helper is missing or failed."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What a helper keeps for one server; user `<token>` marks an identity token."""

    username: str
    secret: str


@dataclass(frozen=True, slots=True)
class Helper:
    """One helper program, found by the PATH of `environment`."""

    name: str
    environment: Mapping[str, str]
    seconds: float = SECONDS

    def get(self, server: str) -> Secret | None:
        """Return what the helper has for `server`."""
        output = self._run("get", server)
        if output is None:
            return None
        found = _document(self.name, output)
        username, secret = found.get("Username", ""), found.get("Secret")
        if not isinstance(username, str) or not isinstance(secret, str):
            raise HelperError(f"docker-credential-{self.name}: its answer has no Username and Secret")
        return Secret(username, secret)

    def store(self, server: str, secret: Secret) -> None:
        """Let the helper keep `secret`."""
        value = {"ServerURL": server, "Username": secret.username, "Secret": secret.secret}
        self._run("store", json.dumps(value))

    def erase(self, server: str) -> None:
        """Let the helper forget `server`."""
        self._run("erase", server)

    def list(self) -> dict[str, str]:
        """Return servers and user names."""
        found = _document(self.name, self._run("list", "") or b"{}")
        return {server: user for server, user in found.items() if isinstance(user, str)}

    def _run(self, verb: str, stdin: str) -> bytes | None:
        program = f"docker-credential-{self.name}"
        if not _NAME.fullmatch(self.name):
            raise HelperError(f"credential helper {printable(self.name)!r}: not a name")
        path = shutil.which(program, path=self.environment.get("PATH", ""))
        if path is None:
            raise HelperError(
                f"{program}: not found in PATH", hint="install it or take it out of config.json"
            )
        try:
            done = subprocess.run(
                [path, verb], input=stdin.encode(), capture_output=True, timeout=self.seconds,
                env=dict(self.environment), check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as exc:
            raise HelperError(f"{program} {verb}: no answer within {self.seconds:.0f} s") from exc
        except OSError as exc:
            raise HelperError(f"{program}: {exc.strerror}") from exc
        if done.returncode == 0:
            return done.stdout[:MAX_OUTPUT]
        said = done.stdout.decode(errors="replace").strip()
        if NOT_FOUND in said:
            return None
        complaint = said or done.stderr.decode(errors="replace").strip()
        raise HelperError(f"{program} {verb}: status {done.returncode}", details=printable(complaint))


def _document(name: str, output: bytes) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except (ValueError, RecursionError) as exc:
        raise HelperError(f"docker-credential-{name}: its answer is not JSON") from exc
    if not isinstance(found, dict):
        raise HelperError(f"docker-credential-{name}: its answer is not an object")
    return found
