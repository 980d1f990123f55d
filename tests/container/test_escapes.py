"""Ways out that others have had, tried on ours: hostile image values, races on mount points, joins."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest
from lamina_runtime.container import bundle, plan
from lamina_runtime.container.records import Op, Record, RecordError
from lamina_runtime.container.wishes import Wishes
from lamina_runtime.oci.container import ContainerConfig

from tests.container import box

pytestmark = [pytest.mark.userns, pytest.mark.timeout(90)]
ROUNDS = 25


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return box.make_root(tmp_path / "root")


def test_a_newline_in_an_images_variable_makes_no_second_one(root: Path) -> None:
    config = box.spec(root, "sh", "-c", "dd if=/proc/self/environ 2>/dev/null")
    config["process"]["env"] += ["A=x\nLD_PRELOAD=/evil.so"]
    words = box.run(config).out.split("\0")
    assert "A=x\nLD_PRELOAD=/evil.so" in words
    assert not any(word.startswith("LD_PRELOAD") for word in words)


@pytest.mark.parametrize("key", ["env", "args"])
def test_a_nul_in_an_images_value_is_refused(root: Path, key: str) -> None:
    config = box.spec(root, "true")
    config["process"][key].append("A=x\0B=y")
    with pytest.raises(RecordError, match="NUL"):
        list(plan.container(config))


def test_an_entrypoint_that_looks_like_an_option_is_a_program() -> None:
    image = ContainerConfig(entrypoint=("--privileged",), cmd=("-v", "/:/host"))
    config = bundle.make(image, Wishes(), bundle.Place("/root"))
    assert config["process"]["args"] == ["--privileged", "-v", "/:/host"]
    assert not any(row["destination"] == "/host" for row in config["mounts"])


@pytest.mark.parametrize("cwd", ["/../../../../etc", "/out", "/out/.."])
def test_a_working_directory_stays_inside(root: Path, cwd: str) -> None:
    (root / "out").symlink_to("/../../../../../../tmp")
    (root / "tmp").mkdir()
    result = box.run(box.spec(root, "sh", "-c", "ls /; pwd", cwd=cwd))
    assert result.status == 0, result.report
    assert "bin" in result.out.split()
    assert result.out.split()[-1] in ("/etc", "/tmp", "/")


def test_descriptors_of_the_host_are_no_working_directory(root: Path) -> None:
    """CVE-2024-21626: a descriptor that leaks, named through /proc/self/fd."""
    for number in range(3, 12):
        result = box.run(box.spec(root, "pwd", cwd=f"/proc/self/fd/{number}"))
        assert result.status != 0


def test_targets_that_are_swapped_while_mounts_are_made(root: Path, tmp_path: Path) -> None:
    """CVE-2021-30465: a mount point becomes a link to the host between the check and the mount."""
    outside, source = tmp_path / "outside", tmp_path / "source"
    outside.mkdir()
    source.mkdir()
    (source / "marker").touch()
    swapped, stop, trash = root / "swap", threading.Event(), tmp_path / "trash"
    trash.mkdir()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        link, plain = root / "link", root / "plain"
        while not stop.is_set():
            for made in (plain, link):
                try:
                    if made is plain:
                        plain.mkdir()
                    else:
                        link.symlink_to(outside)
                    made.rename(swapped)
                    swaps += 1
                    swapped.rename(trash / str(swaps))
                except OSError:  # the launcher made a directory of the name meanwhile
                    with contextlib.suppress(OSError):
                        swapped.rename(trash / f"busy{swaps}")
                    with contextlib.suppress(OSError):
                        made.rename(trash / f"left{swaps}")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(ROUNDS):
            config = box.spec(root, "true")
            where = {"destination": "/swap", "source": str(source), "options": ["bind"]}
            config["mounts"].append(where)
            config["mounts"].append({**where, "destination": "/swap/deep/er"})
            box.run(config)
            assert not list(outside.iterdir())
    finally:
        stop.set()
        thread.join()
    assert swaps > ROUNDS
    assert not any(f" {outside} " in line for line in _mounts())


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def test_who_joins_does_not_run_what_the_container_preloads(root: Path, tmp_path: Path) -> None:
    """The launcher is static in what it does inside: a preload of the container is its programs' alone."""
    (root / "etc/ld.so.preload").write_text("/evil.so\n")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n" + "a" * 200_000 + "\n:::::\nx:x:99999999999\n")
    state = tmp_path / "state"
    state.mkdir()
    running = box.keep(box.spec(root, "sleep", "30"), state)
    kinds = ("user", "mount", "pid", "ipc", "uts", "network")
    config = box.spec(root, "sh", "-c", "id -u; ls /proc/1/fd | wc -l; ls /proc/self/fd")
    rows = [
        plan.joined(running.pid, kinds),
        *plan.process(config["process"], "root", linux=config["linux"]),
        Record(Op.STDIO),
    ]
    result = box.Running(rows).end()
    os.kill(running.pid, 9)
    running.end()
    words = result.out.split()
    assert words[:2] == ["0", "3"], result.report
    assert set(words[2:]) <= {"0", "1", "2", "3"}
