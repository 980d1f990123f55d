"""A Debian package that wants users and owners, installed by apt where there is one id."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers_cli.conftest import Host, make_host
from tests.integration import rootfs

pytestmark = [pytest.mark.userns, pytest.mark.fuse, pytest.mark.root, pytest.mark.timeout(120)]
CONTROL = "Package: owned\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: x\n"
POSTINST = """#!/bin/sh
set -e
groupadd --system owners
useradd --system --gid owners --no-create-home owner
chown -R owner:owners /srv/owned
chmod 2750 /srv/owned
mknod /srv/owned/null c 1 3
mkfifo /srv/owned/fifo
su owner -c 'echo done > /srv/owned/said'
"""


@pytest.fixture
def host() -> Iterator[Host]:
    rootfs.debian()
    made = make_host("single")
    made("import", str(rootfs.CACHE / f"debian-{rootfs.SUITE}-apt.tar"), "debian")
    yield made
    assert made("ps", "-aq") == ""
    shutil.rmtree(made.top, ignore_errors=True)


def package(where: Path) -> Path:
    """Build a package with files of other owners and a script that makes users."""
    tree = where / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(CONTROL)
    (tree / "DEBIAN/postinst").write_text(POSTINST)
    (tree / "DEBIAN/postinst").chmod(0o755)
    (tree / "srv/owned").mkdir(parents=True)
    (tree / "srv/owned/file").write_text("text\n")
    subprocess.run(["chown", "-R", "33:33", str(tree / "srv")], check=True)
    build = ["dpkg-deb", "--build", str(tree), str(where / "owned.deb")]
    subprocess.run(build, check=True, capture_output=True)
    return where / "owned.deb"


def volume(host: Host, where: Path) -> str:
    """Build the package and return the flag's value that mounts it."""
    shutil.copy(package(where), host.top / "owned.deb")
    (host.top / "owned.deb").chmod(0o644)
    return f"{host.top}/owned.deb:/p.deb:ro"


def test_apt_installs_a_package_with_users_and_owners(host: Host, tmp_path: Path) -> None:
    script = (
        "apt-get install -y /p.deb >/log 2>&1 || { cat /log; exit 1; }; "
        "dpkg -s owned | grep Status; ls /srv/owned; id owner"
    )
    flags = ["--rm", "--network=none", "-v", volume(host, tmp_path)]
    done = host.run("run", *flags, "debian", "sh", "-c", script, seconds=90)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[0] == "Status: install ok installed"
    assert lines[1:4] == ["fifo", "file", "said"]
    assert "(owner)" in lines[4]


def test_recorded_owners_and_devices_are_shown_and_committed(host: Host, tmp_path: Path) -> None:
    script = (
        "apt-get install -y /p.deb >/log 2>&1 || { cat /log; exit 1; }; "
        "stat -c '%U:%G %a %F' /srv/owned /srv/owned/file /srv/owned/null; id -u owner; id -g owner"
    )
    flags = ["--name", "recorded", "--root-emulation=record", "--network=none", "-v", volume(host, tmp_path)]
    done = host.run("run", *flags, "debian", "sh", "-c", script, seconds=110)
    assert done.returncode == 0, done.stdout + done.stderr
    *shown, uid, gid = done.stdout.splitlines()
    assert shown == [
        "owner:owners 2750 directory",
        "owner:owners 644 regular file",
        "root:root 644 character special file",
    ]
    host("commit", "recorded", "owned")
    host("save", "-o", f"{host.top}/owned.tar", "owned")
    host("rm", "recorded")
    members = newest_layer(host.top / "owned.tar")
    found = members["srv/owned/file"]
    assert (found.uid, found.gid, found.mode) == (int(uid), int(gid), 0o644)
    assert (members["srv/owned"].uid, members["srv/owned"].mode) == (int(uid), 0o2750)
    device = members["srv/owned/null"]
    assert (device.ischr(), device.devmajor, device.devminor) == (True, 1, 3)
    assert members["etc/passwd"].uid == 0
    assert not [name for name in members if "lamina" in str(members[name].pax_headers)]
    host("rmi", "owned")


def newest_layer(path: Path) -> dict[str, tarfile.TarInfo]:
    """Return the members of the last layer of a saved image, as Python reads them."""
    with tarfile.open(path) as saved:
        manifest = saved.extractfile("manifest.json")
        assert manifest is not None
        layer = saved.extractfile(json.load(manifest)[0]["Layers"][-1])
        with tarfile.open(fileobj=layer) as tar:
            return {member.name: member for member in tar}
