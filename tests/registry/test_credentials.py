"""Auth files and credential helpers; the helper is a real program."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lamina_runtime.errors import LaminaError, UsageError
from lamina_runtime.registry.credentials import HUB_KEY, Credential, Credentials
from lamina_runtime.registry.helpers import Helper, HelperError, Secret

HELPER = """#!%s
import json, sys, pathlib
store = pathlib.Path(__file__).with_name("store.json")
known = json.loads(store.read_text()) if store.exists() else {}
verb, value = sys.argv[1], sys.stdin.read()
log = pathlib.Path(__file__).with_name("log")
log.write_text((log.read_text() if log.exists() else "") + verb + "\\n")
if verb == "get":
    if value not in known:
        print("credentials not found in native keychain")
        sys.exit(1)
    user, secret = known[value]
    print(json.dumps({"ServerURL": value, "Username": user, "Secret": secret}))
elif verb == "store":
    new = json.loads(value)
    known[new["ServerURL"]] = [new["Username"], new["Secret"]]
elif verb == "erase":
    known.pop(value, None)
elif verb == "list":
    print(json.dumps({server: user for server, (user, _) in known.items()}))
store.write_text(json.dumps(known))
"""


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def user(tmp_path: Path, **environment: str) -> Credentials:
    return Credentials({"HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin", **environment}, 1000)


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def program(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / "bin" / f"docker-credential-{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_dockers_file(tmp_path: Path) -> None:
    write(
        tmp_path / ".docker/config.json",
        {
            "auths": {
                "r.example": auth("ann", "a:b"),
                "https://s.example/v2/": {"username": "bob", "password": "pw"},
                "t.example": {**auth("", ""), "identitytoken": "idt"},
                "u.example": {"registrytoken": "rt"},
                HUB_KEY: auth("hub", "word"),
                "empty.example": {},
            }
        },
    )
    known = user(tmp_path)
    assert known.get("r.example", "any/thing") == Credential("ann", "a:b")
    assert known.get("s.example") == Credential("bob", "pw")
    assert known.get("t.example") == Credential(identity_token="idt")
    assert known.get("u.example") == Credential(registry_token="rt")
    for name in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        assert known.get(name, "library/debian") == Credential("hub", "word")
    assert known.get("empty.example") is None
    assert known.get("unknown.example") is None


def test_paths_below_a_registry(tmp_path: Path) -> None:
    write(
        tmp_path / "run/containers/auth.json",
        {
            "auths": {
                "r.example": auth("all", "1"),
                "r.example/team": auth("team", "2"),
                "r.example/team/app": auth("app", "3"),
            }
        },
    )
    known = user(tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "run"))
    names = {name: known.get("r.example", name) for name in ("team/app", "team/other", "teams", "")}
    assert [found.username for found in names.values() if found] == ["app", "team", "all", "all"]


def test_the_first_file_with_an_entry_wins(tmp_path: Path) -> None:
    write(tmp_path / "d/config.json", {"auths": {"a.example": auth("docker", "x")}})
    both = {"a.example": auth("podman", "x"), "b.example": auth("podman", "x")}
    write(tmp_path / "run/containers/auth.json", {"auths": both})
    write(tmp_path / ".config/containers/auth.json", {"auths": {"c.example": auth("config", "x")}})
    known = user(tmp_path, DOCKER_CONFIG=str(tmp_path / "d"), XDG_RUNTIME_DIR=str(tmp_path / "run"))
    found = [known.get(f"{name}.example") for name in "abc"]
    assert [one.username for one in found if one] == ["docker", "podman", "config"]
    alone = user(tmp_path, REGISTRY_AUTH_FILE=str(tmp_path / ".config/containers/auth.json"))
    assert alone.get("b.example") is None
    assert alone.get("c.example") == Credential("config", "x")


def test_writing_keeps_what_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / ".docker/config.json"
    before = {
        "psFormat": "x",
        "auths": {"o.example": {"auth": "eA==", "more": 1}},
        "plugins": {"a": {"b": "c"}},
    }
    write(path, before)
    path.chmod(0o644)
    stored = user(tmp_path).store("r.example", Credential("ann", "pä:ss"))
    assert stored.plain
    assert stored.where == str(path)
    document = json.loads(path.read_text())
    assert document["auths"].pop("r.example") == auth("ann", "pä:ss")
    assert document == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["config.json"]
    assert user(tmp_path).get("r.example") == Credential("ann", "pä:ss")
    assert user(tmp_path).erase("r.example")
    assert not user(tmp_path).erase("r.example")
    assert json.loads(path.read_text()) == before


def test_a_new_file_is_private_and_hub_has_dockers_key(tmp_path: Path) -> None:
    user(tmp_path).store("docker.io", Credential("ann", identity_token="idt"))
    path = tmp_path / ".docker/config.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text())["auths"][HUB_KEY]["identitytoken"] == "idt"
    found = user(tmp_path).get("docker.io")
    assert found
    assert found.identity_token == "idt"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path / "dotfiles/config.json", {"auths": {}})
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").symlink_to("../dotfiles/config.json")
    user(tmp_path).store("r.example", Credential("ann", "x"))
    assert (tmp_path / ".docker/config.json").is_symlink()
    assert "r.example" in (tmp_path / "dotfiles/config.json").read_text()


def test_logins_at_once_do_not_lose_each_other(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    known = user(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: known.store(f"r{number}.example", Credential("ann", "x")), range(40)))
    assert len(json.loads((tmp_path / ".docker/config.json").read_text())["auths"]) == 40


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "not an auth file"),
        ('{"auths": []}', "not an auth file"),
        ("{", "not JSON"),
        ("[" * 99_999, "not JSON"),
        ('{"auths": {"r.example": 5}}', "not an object"),
        ('{"auths": {"r.example": {"auth": "!"}}}', "not base64"),
        (" " * (2 << 20), "larger than"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / ".docker/config.json", text)
    with pytest.raises(LaminaError, match=said):
        user(tmp_path).get("r.example")


@pytest.mark.root
def test_files_that_are_not_for_us_are_passed_over(session_top: Path) -> None:
    tmp_path = session_top / "auth"
    write(tmp_path / ".docker/config.json", {"auths": {"r.example": auth("ann", "x")}})
    closed = tmp_path / "run/containers"
    closed.mkdir(parents=True)
    closed.chmod(0o000)
    code = f"""
import os
from pathlib import Path
from tests.registry.test_credentials import user
os.setuid(65534)
known = user(Path({str(tmp_path)!r}), XDG_RUNTIME_DIR={str(tmp_path / "run")!r})
assert known.get("other.example") is None
assert known.get("r.example")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_store_in_a_helper(tmp_path: Path) -> None:
    program(tmp_path, "test", HELPER % sys.executable)
    path = tmp_path / ".docker/config.json"
    write(path, {"credsStore": "test", "x": 1})
    known = user(tmp_path)
    assert known.get("r.example") is None
    stored = known.store("r.example", Credential("ann", "s3cret"))
    assert (stored.plain, stored.where) == (False, "docker-credential-test")
    known.store("docker.io", Credential("hub", identity_token="idt"))
    document = json.loads(path.read_text())
    assert document == {"credsStore": "test", "x": 1, "auths": {"r.example": {}, HUB_KEY: {}}}
    assert known.get("r.example", "a/b") == Credential("ann", "s3cret")
    assert known.get("docker.io") == Credential(identity_token="idt")
    assert Helper("test", known.environment).list() == {"r.example": "ann", HUB_KEY: "<token>"}
    assert known.erase("r.example")
    assert known.get("r.example") is None
    assert not known.erase("r.example")


def test_a_helper_for_one_registry(tmp_path: Path) -> None:
    program(tmp_path, "one", HELPER % sys.executable)
    Helper("one", user(tmp_path).environment).store("a.example", Secret("from-helper", "x"))
    auths = {"a.example": auth("file", "x"), "b.example": auth("file", "x")}
    write(tmp_path / ".docker/config.json", {"credHelpers": {"a.example": "one"}, "auths": auths})
    found = [user(tmp_path).get(name) for name in ("a.example", "b.example")]
    assert [one.username for one in found if one] == ["from-helper", "file"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo broken; exit 1", "status 1"),
        ("echo '{}'", "no Username"),
        ("echo hello", "not JSON"),
        ("echo '[]'", "not an object"),
        ("exec sleep 60", "no answer within"),
    ],
)
def test_helpers_that_fail(tmp_path: Path, script: str, said: str) -> None:
    program(tmp_path, "bad", f"#!/bin/sh\n{script}\n")
    began = time.monotonic()
    with pytest.raises(HelperError, match=said):
        Helper("bad", user(tmp_path).environment, seconds=0.5).get("r.example")
    assert time.monotonic() - began < 10


def test_helpers_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(HelperError, match="not found in PATH"):
        Helper("absent", user(tmp_path).environment).get("x")
    for name in ("../../bin/sh", "a b", "", "-x", "x" * 100):
        with pytest.raises(HelperError, match="not a name"):
            Helper(name, user(tmp_path).environment).get("x")


def test_credentials_on_the_command_line() -> None:
    assert Credential.parse("ann:pass:word") == Credential("ann", "pass:word")
    for text in ("ann", ":x", ""):
        with pytest.raises(UsageError):
            Credential.parse(text)
    assert "word" not in repr(Credential("ann", "pass:word"))


def test_headers_of_docker(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"HttpHeaders": {"X-Meta": "1", "X-Bad": 5}})
    assert user(tmp_path).headers() == {"X-Meta": "1"}
