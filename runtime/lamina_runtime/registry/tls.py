"""TLS towards one registry: certificates from the directories of docker and podman.

Theory. `certs.d/HOST[:PORT]/` holds `*.crt` (authorities, in addition to the system's) and pairs
`NAME.cert`, `NAME.key` (what we show when asked). The first directory that exists for a host is taken
whole. The system's authorities are OpenSSL's, so SSL_CERT_FILE and SSL_CERT_DIR work.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lamina_runtime.errors import LaminaError

MAX_FILES = 64


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files for one host; equal ones can share connections."""

    authorities: tuple[Path, ...] = ()
    clients: tuple[tuple[Path, Path], ...] = ()


def directories(environment: Mapping[str, str], *, config: Path, uid: int) -> tuple[Path, ...]:
    """Return the `certs.d` directories, the user's before the system's."""
    home = Path(environment.get("HOME", "/"))
    xdg = environment.get("XDG_CONFIG_HOME", "")
    user = Path(xdg) if os.path.isabs(xdg) else home / ".config"
    own = [config / "certs.d"] + ([user / "containers/certs.d", user / "docker/certs.d"] if uid else [])
    return (*own, Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


def certificates(host: str, where: tuple[Path, ...], *, explicit: Path | None = None) -> Certificates:
    """Return the files for `host`: those in `explicit`, else in the first directory that has any."""
    for directory in [explicit] if explicit else [base / host for base in where]:
        try:
            names = sorted(os.listdir(directory))[:MAX_FILES]
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        pairs = []
        for name in names:
            if name.endswith(".cert"):
                key = name.removesuffix(".cert") + ".key"
                if key not in names:
                    raise LaminaError(f"{directory / name}: no {key} beside it")
                pairs.append((directory / name, directory / key))
        return Certificates(tuple(directory / name for name in names if name.endswith(".crt")), tuple(pairs))
    return Certificates()


def context(files: Certificates, *, verify: bool) -> ssl.SSLContext:
    """Return what to connect with; without `verify` any certificate will do."""
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    if not verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    path = None
    try:
        for path in files.authorities:
            made.load_verify_locations(cafile=path)
        for path, key in files.clients:
            made.load_cert_chain(path, key, password=_no_password)
    except (OSError, ssl.SSLError) as exc:
        raise LaminaError(f"{path}: not usable", details=str(exc.strerror or exc)) from exc
    return made


def _no_password() -> str:
    """Let OpenSSL fail on an encrypted key where it would ask on the terminal."""
    return ""
