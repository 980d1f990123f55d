"""Debian's docker-registry on a free port of the loopback interface, for as long as a test wants it.

    with docker_registry(tmp_path / "registry", users={"ann": "secret"}) as registry:
        subprocess.run(["skopeo", "copy", ..., f"docker://{registry.host}/name:tag"])

The registry chooses its port itself (address :0) and says so in its log, so two of them never fight for one.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.certificates import Pair

BINARY = "docker-registry"
START = 20.0  # seconds until it must listen
STOP = 10.0
SALT = "$2b$04$" + "laminalaminalaminalami"[:22]
_LISTENING = re.compile(r"listening on ((?:127\.0\.0\.1|\[::\]|0\.0\.0\.0):(\d+))")


@dataclass(frozen=True)
class Registry:
    """A running registry."""

    port: int
    storage: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        """Return what stands before the first slash of a reference."""
        return f"127.0.0.1:{self.port}"

    def requests(self) -> list[str]:
        """Return method, path and status of each request so far, as its access log has them."""
        found = re.findall(r'"(\w+ \S+) HTTP/1\.1" (\d+)', self.log.read_text())
        return [f"{request} {status}" for request, status in found]


def htpasswd(path: Path, users: Mapping[str, str]) -> Path:
    """Write users and passwords as docker-registry reads them: bcrypt, here by perl's crypt(3)."""
    lines = []
    for user, password in users.items():
        done = subprocess.run(
            ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, SALT],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        assert re.fullmatch(r"\$2b\$04\$.{53}", done.stdout), "this libcrypt has no bcrypt"
        lines.append(f"{user}:{done.stdout}\n")
    path.write_text("".join(lines))
    return path


def configuration(
    top: Path,
    *,
    users: Mapping[str, str] | None = None,
    tls: Pair | None = None,
    client_ca: Path | None = None,
    token: Mapping[str, str] | None = None,
    proxy: str | None = None,
) -> dict[str, Any]:
    """Return a configuration; `users` is for basic auth, `token` the section of that name."""
    http: dict[str, Any] = {"addr": "127.0.0.1:0", "secret": "lamina", "relativeurls": False}
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(top / "storage")}, "delete": {"enabled": True}},
        "http": http,
    }
    if tls:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
        if client_ca:
            http["tls"]["clientcas"] = [str(client_ca)]
    if users is not None:
        config["auth"] = {"htpasswd": {"realm": "lamina", "path": str(htpasswd(top / "htpasswd", users))}}
    elif token is not None:
        config["auth"] = {"token": dict(token)}
    if proxy:
        config["proxy"] = {"remoteurl": proxy}
    return config


@contextlib.contextmanager
def docker_registry(
    top: Path,
    *,
    users: Mapping[str, str] | None = None,
    tls: Pair | None = None,
    client_ca: Path | None = None,
    token: Mapping[str, str] | None = None,
    proxy: str | None = None,
) -> Iterator[Registry]:
    """Run a registry that keeps everything below `top`; stop it and wait for it at the end."""
    binary = shutil.which(BINARY)
    assert binary, f"{BINARY} is not installed"
    top.mkdir(parents=True, exist_ok=True)
    settings = configuration(top, users=users, tls=tls, client_ca=client_ca, token=token, proxy=proxy)
    file, log = top / "config.yml", top / "log"
    file.write_text(json.dumps(settings))  # JSON is YAML
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [binary, "serve", str(file)], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    try:
        yield Registry(_port(process, log), top / "storage", log, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + START
    while time.monotonic() < end:
        found = _LISTENING.search(log.read_text())
        if found:
            return int(found[2])
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError(f"{BINARY} did not start:\n{log.read_text()}")
