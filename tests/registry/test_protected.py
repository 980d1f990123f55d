"""Registries that want to know who we are: htpasswd, tokens, TLS, client certificates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry import login
from lamina_runtime.registry.credentials import Credential
from lamina_runtime.registry.failures import CertificateError, TransferError, UnauthorizedError
from lamina_runtime.store.store import Store

from tests.registry.harness import options, run
from tests.registry.world import TARS, check_layers, empty, give, make_layout, name_as, raw, take
from tests.support import certificates
from tests.support.images import run as tool
from tests.support.images import skopeo_push
from tests.support.registries import Registry, docker_registry
from tests.support.tokenserver import TokenServer, token_server

USERS = {"ann": "se:cret"}
ANN = Credential("ann", "se:cret")


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> certificates.Pair:
    return certificates.authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout(tmp_path_factory.mktemp("layout") / "oci").top


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, layout: Path) -> Iterator[Registry]:
    with docker_registry(tmp_path_factory.mktemp("guarded"), users=USERS) as registry:
        skopeo_push(layout, "one", f"{registry.host}/team/app:one", "--dest-creds", "ann:se:cret")
        yield registry


def test_passwords(guarded: Registry, store: Store, tmp_path: Path) -> None:
    name = f"{guarded.host}/team/app:one"
    for credential in (None, Credential("ann", "wrong")):
        with pytest.raises(UnauthorizedError, match="authentication required"):
            take(store, name, tmp_path, credential=credential)
    assert empty(store)
    with pytest.raises(UnauthorizedError, match="wrong name or password"):
        run(lambda: login.login(guarded.host, Credential("ann", "wrong"), options(tmp_path)))
    run(lambda: login.login(guarded.host, ANN, options(tmp_path)))
    check_layers(store, take(store, name, tmp_path), TARS)
    assert login.logout(guarded.host, options(tmp_path))
    with pytest.raises(UnauthorizedError):
        take(store, name, tmp_path)


def test_logins_are_shared_with_podman_and_skopeo(guarded: Registry, store: Store, tmp_path: Path) -> None:
    name, file = f"{guarded.host}/team/app:one", tmp_path / "auth.json"
    shared = {"REGISTRY_AUTH_FILE": str(file)}
    tool(
        "skopeo",
        "login",
        "--tls-verify=false",
        "--username=ann",
        "--password=se:cret",
        guarded.host,
        env=shared,
    )
    from_file = {"credentials": options(tmp_path, shared).credentials}
    pulled = take(store, name, tmp_path, **from_file)
    tool("podman", "logout", guarded.host, env=shared)
    assert guarded.host not in json.loads(file.read_text())["auths"]
    run(lambda: login.login(guarded.host, ANN, options(tmp_path, shared)))
    tool("skopeo", "inspect", "--tls-verify=false", f"docker://{name}", env=shared)
    target = f"{guarded.host}/copy/app:x"
    name_as(store, pulled, target)
    give(store, target, tmp_path, **from_file)
    assert raw(target, "--creds", "ann:se:cret") == raw(name, "--creds", "ann:se:cret")


@pytest.fixture(scope="module", params=["get", "post"])
def tokens(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ca: certificates.Pair
) -> Iterator[tuple[Registry, TokenServer]]:
    signer = certificates.issue(ca, f"signer-{request.param}")
    with (
        token_server(signer, USERS, with_get=request.param == "get") as server,
        docker_registry(tmp_path_factory.mktemp("tokens"), token=server.section()) as registry,
    ):
        yield registry, server


def test_tokens(tokens: tuple[Registry, TokenServer], store: Store, layout: Path, tmp_path: Path) -> None:
    registry, server = tokens
    private, public = f"{registry.host}/private/app:x", f"{registry.host}/public/app:x"
    with docker_registry(tmp_path / "open") as plain:
        skopeo_push(layout, "one", f"{plain.host}/app:x")
        pulled = take(store, f"{plain.host}/app:x", tmp_path)
    for target in (private, public):
        name_as(store, pulled, target)
        with pytest.raises(UnauthorizedError):
            give(store, target, tmp_path)
        give(store, target, tmp_path, credential=ANN)
    mounted = [line for line in registry.requests() if "mount=" in line and line.endswith(" 201")]
    assert len(mounted) == 4  # the second push took its blobs from the first
    fresh = Store.open(tmp_path / "fresh")
    with pytest.raises(UnauthorizedError):
        take(fresh, private, tmp_path)
    if server.with_get:
        check_layers(fresh, take(fresh, public, tmp_path), TARS)
    check_layers(fresh, take(fresh, private, tmp_path, credential=ANN), TARS)
    asked = [one for one in server.asked if one.get("user") == "ann" or one.get("username") == "ann"]
    assert asked[-1]["scope"] in (["repository:private/app:pull"], "repository:private/app:pull")


def test_an_identity_token_is_kept_in_place_of_the_password(
    tokens: tuple[Registry, TokenServer], tmp_path: Path
) -> None:
    registry, server = tokens
    settings = options(tmp_path)
    with pytest.raises(UnauthorizedError, match="wrong name or password"):
        run(lambda: login.login(registry.host, Credential("ann", "wrong"), settings))
    run(lambda: login.login(registry.host, ANN, settings))
    text = (tmp_path / ".docker/config.json").read_text()
    assert json.loads(text)["auths"][registry.host]["identitytoken"] == "refresh-ann"
    kept = settings.credentials.get(registry.host)
    assert kept
    assert not kept.password
    before = len(server.asked)
    run(lambda: login.check(registry.host, kept, settings))
    assert server.asked[before]["grant_type"] == "refresh_token"


@pytest.fixture
def trusted(tmp_path: Path, ca: certificates.Pair) -> Path:
    """A certs.d directory that trusts our authority for nobody yet."""
    top = tmp_path / "certs.d"
    top.mkdir()
    return top


def trust(trusted: Path, host: str, ca: certificates.Pair) -> Path:
    (trusted / host).mkdir()
    shutil.copy(ca.certificate, trusted / host / "ca.crt")
    return trusted / host


def test_certificates(
    store: Store,
    layout: Path,
    tmp_path: Path,
    ca: certificates.Pair,
    trusted: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with docker_registry(tmp_path / "tls", tls=certificates.issue(ca, "server")) as registry:
        name = f"{registry.host}/team/app:one"
        skopeo_push(layout, "one", name)
        with pytest.raises(CertificateError, match="its certificate is not trusted"):
            take(store, name, tmp_path)
        assert take(store, name, tmp_path, tls_verify=False).new
        with monkeypatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(ca.certificate))
            assert not take(store, name, tmp_path).new
        directory = trust(trusted, registry.host, ca)
        check_layers(store, take(store, name, tmp_path, certificates=(trusted,)), TARS)
        check_layers(store, take(store, name, tmp_path, certificate_dir=directory), TARS)
        (directory / "ca.crt").write_text("no certificate")
        with pytest.raises(Exception, match=r"ca\.crt: not usable"):
            take(store, name, tmp_path, certificates=(trusted,))


def test_a_certificate_for_another_name(
    store: Store, layout: Path, tmp_path: Path, ca: certificates.Pair, trusted: Path
) -> None:
    pair = certificates.issue(ca, "other", names="DNS:registry.example")
    with docker_registry(tmp_path / "tls", tls=pair) as registry:
        trust(trusted, registry.host, ca)
        with pytest.raises(CertificateError) as caught:
            take(store, f"{registry.host}/a:b", tmp_path, certificates=(trusted,))
        assert "not valid for '127.0.0.1'" in caught.value.details


def test_client_certificates(
    store: Store, layout: Path, tmp_path: Path, ca: certificates.Pair, trusted: Path
) -> None:
    server, client = certificates.issue(ca, "mutual"), certificates.issue(ca, "client")
    with docker_registry(tmp_path / "tls", tls=server, client_ca=ca.certificate) as registry:
        name = f"{registry.host}/team/app:one"
        directory = trust(trusted, registry.host, ca)
        with pytest.raises(TransferError, match=r"127\.0\.0\.1:\d+: "):
            take(store, name, tmp_path, certificates=(trusted,))
        shutil.copy(client.certificate, directory / "client.cert")
        with pytest.raises(Exception, match=r"no client\.key beside it"):
            take(store, name, tmp_path, certificates=(trusted,))
        shutil.copy(client.key, directory / "client.key")
        skopeo_push(layout, "one", name, "--dest-cert-dir", str(directory))
        pulled = take(store, name, tmp_path, certificates=(trusted,))
        check_layers(store, pulled, TARS)
        target = f"{registry.host}/copy/app:one"
        name_as(store, pulled, target)
        give(store, target, tmp_path, certificates=(trusted,))
        assert store.references.get(Reference.parse(target))
