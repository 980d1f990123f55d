"""A certificate authority for tests, made by openssl: servers on loopback, clients, signers of tokens."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECONDS = 30


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    def der_base64(self) -> str:
        """Return the certificate as `x5c` wants it."""
        der = _openssl("x509", "-in", str(self.certificate), "-outform", "DER")
        return base64.b64encode(der).decode()

    def sign(self, data: bytes) -> bytes:
        """Return the RS256 signature of `data`."""
        return _openssl("dgst", "-sha256", "-sign", str(self.key), stdin=data)


def _openssl(*words: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *words], input=stdin, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {words[0]}: {done.stderr.decode()}")
    return done.stdout


def authority(top: Path, *, name: str = "lamina test authority") -> Pair:
    """Make a self-signed authority below `top`."""
    top.mkdir(parents=True, exist_ok=True)
    pair = Pair(top / "ca.crt", top / "ca.key")
    _openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        "-keyout", str(pair.key), "-out", str(pair.certificate),
    )  # fmt: skip
    return pair


def issue(ca: Pair, name: str, *, names: str = "IP:127.0.0.1,DNS:localhost") -> Pair:
    """Issue a certificate called `name`, good for servers (`names` are its subjectAltName) and clients."""
    top = ca.certificate.parent
    pair = Pair(top / f"{name}.cert", top / f"{name}.key")
    request, extensions = top / f"{name}.csr", top / f"{name}.ext"
    extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
    _openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
        "-keyout", str(pair.key), "-out", str(request),
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-in", str(request), "-CA", str(ca.certificate), "-CAkey", str(ca.key),
        "-CAcreateserial", "-days", "2", "-extfile", str(extensions), "-out", str(pair.certificate),
    )  # fmt: skip
    return pair
