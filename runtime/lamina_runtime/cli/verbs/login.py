"""`lamina login`."""

from __future__ import annotations

import sys

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("login",),
    "[OPTIONS] [SERVER]",
    "Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.",
    flags=(
        Flag("password", "Password or Personal Access Token (PAT)", short="p", kind=STRING),
        Flag("password-stdin", "Take the Password or Personal Access Token (PAT) from stdin"),
        Flag("username", "Username", short="u", kind=STRING),
        *(flag for flag in common.REGISTRY_FLAGS if flag.name != "creds"),
    ),
    arguments=(0, 1),
)
LONGEST = 64 << 10


def run(parsed: Parsed, engine: Engine) -> int:  # noqa: ARG001 - every verb's signature
    """Try credentials and keep them."""
    from lamina_runtime.engine import transfers

    registry = transfers.registry_name(parsed.arguments[0] if parsed.arguments else "")
    username, password = _credentials(parsed)
    access = transfers.Access(
        parsed.switch("tls_verify") if "tls_verify" in parsed.given else None,
        parsed.text("authfile"),
        parsed.text("cert_dir"),
    )
    done = transfers.login(registry, username=username, password=password, access=access)
    if done.stored.plain:
        output.note(f"WARNING! Your credentials are stored unencrypted in '{done.stored.where}'.")
    output.line("Login Succeeded")
    return 0


def _credentials(parsed: Parsed) -> tuple[str, str]:
    """Take name and password from flags, stdin, or whoever sits at the terminal."""
    from lamina_runtime.errors import UsageError

    username, password = parsed.text("username"), parsed.text("password")
    if parsed.switch("password_stdin"):
        if password:
            raise UsageError("--password and --password-stdin are mutually exclusive")
        if not username:
            raise UsageError("Must provide --username with --password-stdin")
        password = sys.stdin.read(LONGEST).rstrip("\r\n")
        if not password:
            raise UsageError("password is empty")
        return username, password
    if password:
        output.note("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    if not (username and password) and not output.on_terminal(sys.stdin):
        raise UsageError("Cannot perform an interactive login from a non TTY device")
    if not username:
        output.write("Username: ")
        output.flush()
        username = sys.stdin.readline(LONGEST).strip()
    if not password:
        from lamina_unionfs.complete_path import complete

        complete()
        import getpass

        password = getpass.getpass("Password: ")
    if not (username and password):
        raise UsageError("username and password are required")
    return username, password
