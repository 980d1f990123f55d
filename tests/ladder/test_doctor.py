"""What `lamina doctor` and `lamina info` say where something is missing."""

from __future__ import annotations

import json
import re

import pytest

from tests.ladder.conftest import Place

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.fuse]
# what this machine itself may lack, whatever the kind
ANYWAY = {"cgroup delegation", "reflinks in store", "network helper", "local store", "user xattrs in store"}
NAMESPACES = {"mount namespace", "pid namespace", "network namespace", "cgroup namespace"}
LACKS = {
    "plain": set[str](),
    "no-ids": {"subordinate ids"},
    "no-fuse": {"/dev/fuse"},
    "no-userns": {*NAMESPACES, "fresh /proc", "/dev/fuse", "kernel overlayfs"},
    "masked-proc": {"fresh /proc"},
    "broken-ids": {"subordinate ids"},
    "no-userns-user": {"user namespace", "subordinate ids", *NAMESPACES, "fresh /proc", "kernel overlayfs"}
    | {"system call filter"},
}
MENDED = {
    "no-ids": "usermod --add-subuids",
    "broken-ids": "reinstall uidmap",
    "no-userns": "seccomp=unconfined --cap-add SYS_ADMIN",
    "no-fuse": "fuse",
    "masked-proc": "systempaths=unconfined",
    "no-userns-user": "seccomp=unconfined",
}
INFO = {
    "plain": ("many (subordinate)", "image under our driver", "namespaces"),
    "no-ids": ("one, root is played", "image under our driver", "namespaces"),
    "no-fuse": ("many (subordinate)", "unpacked image under kernel overlayfs", "namespaces"),
    "no-userns": ("all (root)", "a copy of the image", "none but a root of its own"),
    "masked-proc": ("all (root)", "image under our driver", "namespaces"),
}


@pytest.mark.parametrize("place", LACKS, indirect=True)
def test_the_doctor_names_what_is_missing_and_what_would_mend_it(place: Place) -> None:
    rungs = json.loads(place("doctor", "--format", "json"))
    lacking = [rung for rung in rungs if not rung["found"]]
    assert {rung["name"] for rung in lacking} - ANYWAY == LACKS[place.host.kind]
    assert all(rung["means"] and rung["fix"] and rung["detail"] for rung in lacking)
    assert all(not rung["means"] and not rung["fix"] for rung in rungs if rung["found"])
    assert MENDED.get(place.host.kind, "") in "\n".join(rung["fix"] for rung in lacking)
    if place.host.kind in INFO:
        form = "{{.ContainerIDs}}|{{.ContainerFiles}}|{{.ContainerIsolation}}"
        shown = re.sub(r"^\d+ ", "many ", place("info", "--format", form).strip())
        assert tuple(shown.split("|")) == INFO[place.host.kind]
