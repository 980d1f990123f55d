"""What several verbs share: flags of one meaning, and arguments handled one by one."""

from __future__ import annotations

from lamina_runtime.cli import exit_codes, output
from lamina_runtime.cli.flags import LIST, STRING, Flag
from lamina_runtime.cli.table import FORMAT_HELP
from lamina_runtime.errors import LaminaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.transfers import Access

FORMAT = Flag("format", FORMAT_HELP, kind=STRING)
FORMAT_ONE = Flag(
    "format",
    "Format output using a custom template:\n'json': Print in JSON format\n"
    "'TEMPLATE': Print output using the given Go template",
    short="f",
    kind=STRING,
)
FILTER = Flag("filter", "Filter output based on conditions provided", short="f", kind=LIST, word="filter")
NO_TRUNC = Flag("no-trunc", "Don't truncate output")
ONE_PLATFORM = Flag(
    "platform", "Refuse an image that is not for this platform: os[/arch[/variant]]", kind=STRING
)
CONTENT_TRUST = Flag("disable-content-trust", "Accepted and ignored, as docker does", default=True)
PLATFORM = Flag("platform", "Set platform if the source has several: os[/arch[/variant]]", kind=STRING)


def each(words: Iterable[str], action: Callable[[str], None], *, own: bool = False) -> int:
    """Do something for each argument; a failure is told and the others go on.

    Returns 0, or 1 if something failed; for verbs of our own the status of the first failure.
    """
    status = 0
    for word in words:
        try:
            action(word)
        except LaminaError as error:
            output.flush()
            output.note(error.render())
            status = status or (error.exit_code if own else exit_codes.FAILURE)
    return status


def confirmed(question: str, *, force: bool) -> bool:
    """Ask before something is removed, unless --force was given."""
    return force or output.ask(f"{question}\nAre you sure you want to continue? [y/N] ")


REGISTRY_FLAGS = (
    Flag("authfile", "File of credentials", kind=STRING, word="path"),
    Flag("cert-dir", "Directory of certificates for the registry", kind=STRING, word="path"),
    Flag("creds", "Credentials for the registry, NAME[:PASSWORD]", kind=STRING),
    Flag("tls-verify", "Require HTTPS and verify certificates", default=True),
)


def access(parsed: Parsed) -> Access:
    """Return what the flags say of how to speak to registries."""
    from lamina_runtime.engine.transfers import Access

    verify = parsed.switch("tls_verify") if "tls_verify" in parsed.given else None
    return Access(verify, parsed.text("authfile"), parsed.text("cert_dir"), parsed.text("creds"))
