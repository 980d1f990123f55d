"""What a conversation with registries needs to know from outside: the user's options and surroundings.

Theory. Everything that depends on the process (environment, user, directories) is gathered once here, so
that the rest is functions of values and tests can put another machine in its place.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lamina_runtime.path import directories, user_id
from lamina_runtime.registry import configuration, tls
from lamina_runtime.registry.backoff import RetryPolicy
from lamina_runtime.registry.configuration import Configuration
from lamina_runtime.registry.credentials import Credential, Credentials


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; a transfer may take any time as long as bytes keep coming."""

    connect: float = 15.0
    silence: float = 60.0  # between two pieces of a reply, or until it begins
    small: float = 120.0  # a whole exchange that is not a transfer


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """The options of one session."""

    credentials: Credentials
    configuration: Configuration = field(default_factory=Configuration)
    environment: Mapping[str, str] = field(default_factory=dict)  # proxies
    certificates: tuple[Path, ...] = ()  # certs.d directories
    certificate_dir: Path | None = None  # --cert-dir
    credential: Credential | None = None  # --creds
    tls_verify: bool | None = None  # --tls-verify
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    parallel: int = 3  # layers at a time
    chunk: int | None = None  # upload in pieces of this size; None: in one piece
    user_agent: str = "lamina"


def from_process(
    *,
    auth_file: Path | None = None,
    certificate_dir: Path | None = None,
    credential: Credential | None = None,
    tls_verify: bool | None = None,
    parallel: int = 3,
) -> SessionOptions:
    """Return the options under this process's environment and user; reads registries.conf."""
    environment, uid = dict(os.environ), user_id()
    own = directories(environment, uid=uid).config
    return SessionOptions(
        credentials=Credentials(environment, uid, auth_file),
        configuration=configuration.load(configuration.files(environment, own=own, uid=uid)),
        environment=environment,
        certificates=tls.directories(environment, config=own, uid=uid),
        certificate_dir=certificate_dir,
        credential=credential,
        tls_verify=tls_verify,
        parallel=max(1, min(parallel, 32)),
    )
