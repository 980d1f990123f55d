"""What a registry says when it refuses: status and error codes become failures with a status for the shell.

Theory. Registries answer `{"errors": [{"code", "message", "detail"}]}`, proxies in front of them answer
HTML. Only codes and messages are taken, cut to a length, without control characters: they end up on a
terminal.
"""

import json
from dataclasses import dataclass

from lamina_runtime.errors import LaminaError, NetworkError

MAX_ERRORS = 8
MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an error body."""

    code: str
    message: str


class RegistryError(NetworkError):
    """A registry refused; `status` is HTTP's, `problems` what its body said."""

    def __init__(
        self, brief: str, *, status: int, problems: tuple[Problem, ...] = (), hint: str = ""
    ) -> None:
        details = "\n".join(f"{p.code}: {p.message}" if p.message else p.code for p in problems)
        super().__init__(brief, details=details, hint=hint)
        self.status, self.problems = status, problems


class MissingError(RegistryError):
    """The registry does not have it."""

    exit_code: int = 3


class UnauthorizedError(RegistryError):
    """The registry wants credentials, or others, or has none of these rights for us."""


class ProtocolError(NetworkError):
    """The registry's answer makes no sense."""


class BlockedError(LaminaError):
    """The configuration forbids this registry."""


class TransferError(NetworkError):
    """A connection failed; `final` if another try cannot help."""

    def __init__(self, brief: str, *, final: bool = False, details: str = "", hint: str = "") -> None:
        super().__init__(brief, details=details, hint=hint)
        self.final = final


class CertificateError(TransferError):
    """A server's certificate is not trusted."""


def printable(text: str) -> str:
    """Return a stranger's text as one short line without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_TEXT]).strip()


def problems(body: bytes) -> tuple[Problem, ...]:
    """Return the errors in a reply's body; nothing if it is something else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    entries = found.get("errors") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        details = found.get("details") if isinstance(found, dict) else None  # token servers
        return (Problem("error", printable(details)),) if isinstance(details, str) else ()
    kept = [entry for entry in entries[:MAX_ERRORS] if isinstance(entry, dict)]
    return tuple(
        Problem(printable(str(entry.get("code", "UNKNOWN"))), printable(str(entry.get("message", ""))))
        for entry in kept
    )


def refusal(what: str, status: int, body: bytes) -> RegistryError:
    """Return the failure for `status` in reply to `what`, to be raised."""
    found = problems(body)
    match status:
        case 401:
            return UnauthorizedError(
                f"{what}: authentication required", status=status, problems=found, hint="lamina login"
            )
        case 403:
            return UnauthorizedError(f"{what}: access denied", status=status, problems=found)
        case 404:
            return MissingError(f"{what}: not found", status=status, problems=found)
        case 429:
            return RegistryError(f"{what}: too many requests", status=status, problems=found)
    return RegistryError(f"{what}: the registry answered {status}", status=status, problems=found)
