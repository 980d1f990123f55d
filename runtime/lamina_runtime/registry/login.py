"""Login: credentials tried at the registry, then kept; and forgotten again.

Theory. GET /v2/ with the credentials says whether they are good. A token server may give an identity token
in return for the password; then that is kept and the password is not.
"""

from dataclasses import dataclass, replace

import trio

from lamina_runtime.registry.authorization import Rights
from lamina_runtime.registry.credentials import Credential, Stored
from lamina_runtime.registry.failures import RegistryError, UnauthorizedError
from lamina_runtime.registry.options import SessionOptions
from lamina_runtime.registry.session import Call, Session

MAX_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The end of a login."""

    registry: str
    username: str
    stored: Stored


async def check(registry: str, credential: Credential, options: SessionOptions) -> Credential:
    """Try credentials at a registry; return what is to be kept of them.  Raises UnauthorizedError."""
    async with Session(replace(options, credential=credential), offline=True) as session:
        host = session.host(registry)
        try:
            await session.ask(host, Call("GET", "", Rights()), limit=MAX_ANSWER)
        except UnauthorizedError as exc:
            raise UnauthorizedError(
                f"login to {registry} failed: wrong name or password",
                status=exc.status,
                problems=exc.problems,
            ) from exc
        except RegistryError as exc:
            if exc.status != 404:
                raise
            raise RegistryError(f"{registry} is not a registry", status=404) from exc
        token = session.authorizer(host).identity_token
    if token and not credential.identity_token:
        return Credential(credential.username, identity_token=token)
    return credential


async def login(registry: str, credential: Credential, options: SessionOptions) -> LoggedIn:
    """Check credentials and keep them."""
    kept = await check(registry, credential, options)
    stored = await trio.to_thread.run_sync(options.credentials.store, registry, kept)
    return LoggedIn(registry, credential.username, stored)


def logout(registry: str, options: SessionOptions) -> bool:
    """Forget the credentials for a registry; say whether there were any."""
    return options.credentials.erase(registry)
