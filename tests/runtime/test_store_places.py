"""A store needs one uid and little of its file system."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamina_runtime.oci import media
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import Store

from tests.runtime.stores import put_sample
from tests.support import accounts
from tests.support.agent import Agent
from tests.support.samples import sample

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.root


def use(root: str) -> int:
    """Do everything that a store can do."""
    store = Store.open(Path(root))
    image = put_sample(store, sample("tiny"))
    store.references.set(Reference.parse("tiny"), image.id, image.manifest.descriptor)
    store.layers.blob(image.diff_ids[0], media.OCI_LAYER_ZSTD)
    store.collect()
    problems = store.check(full=True)
    assert problems == [], problems
    assert [Digest.of(path.read_bytes()) for path in image.devices] == list(image.diff_ids)
    store.images.remove(image.id)
    store.collect()
    return os.geteuid()


@contextlib.contextmanager
def mounted(top: Path, *words: str) -> Iterator[Path]:
    top.mkdir()
    subprocess.run(["mount", *words, str(top)], check=True, timeout=20)
    try:
        yield top
    finally:
        subprocess.run(["umount", "-l", str(top)], check=True, timeout=20)


def test_a_mount_without_exec_devices_and_set_id(tmp_path: Path) -> None:
    with mounted(tmp_path / "m", "-t", "tmpfs", "-o", "noexec,nodev,nosuid", "lamina-test") as top:
        use(str(top / "store"))


FORBIDDEN = (
    "chown,fchown,lchown,fchownat,mknod,mknodat,setxattr,lsetxattr,fsetxattr,link,linkat,symlink,symlinkat,"
    "chmod,fchmod,fchmodat,utime,utimes,utimensat,execve"
)


def test_nothing_is_asked_of_the_file_system_that_nfs_or_vfat_lack(tmp_path: Path) -> None:
    sample("tiny")
    log = tmp_path / "log"
    code = f"from tests.runtime.test_store_places import use; use({str(tmp_path / 'store')!r})"
    words = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={FORBIDDEN}", sys.executable, "-c", code]
    subprocess.run(
        words, check=True, timeout=100, cwd=ROOT, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    )
    started, *calls = log.read_text().splitlines()  # the interpreter itself
    assert "execve" in started
    assert calls == []


def test_a_plain_user_without_capabilities(session_top: Path) -> None:
    accounts.ensure_user()
    sample("tiny")
    top = session_top / "plain-store"
    top.mkdir()
    os.chown(top, *accounts.ids())
    with Agent(accounts.as_user()) as agent:
        assert agent.call_within(60, use, str(top / "store")) == accounts.ids()[0]
    subprocess.run(["rm", "-r", str(top)], check=True, timeout=20)
