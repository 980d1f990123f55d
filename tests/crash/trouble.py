"""Trouble that needs no strace: `python -m tests.crash.trouble CASE --driver NAME`.

Each case mounts the lower of `scenes` below an upper on a small tmpfs of its own, makes things
go wrong, and looks at what is left.
"""

import argparse
import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.crash import scenes
from tests.crash.trial import Trial, bury, judge, watched
from tests.differential import isolation
from tests.differential.drivers import DRIVERS, TRUSTED
from tests.differential.objects import pattern
from tests.support import mounts

SMALL = "2m"  # less than the large file of the lower
FEW_INODES = 40
KILLS = 6
STRESS_STEPS = 100_000  # more than fit into the time before the kill
SIGTERM_SECONDS = 5.0
SETTLE_SECONDS = 3.0


def _expect(number: int, action: Callable[[], object]) -> None:
    """Assert that `action` fails with an errno."""
    try:
        action()
    except OSError as exc:
        if exc.errno != number:
            raise AssertionError(f"expected {errno.errorcode[number]}, got {exc}") from exc
    else:
        raise AssertionError(f"expected {errno.errorcode[number]}, got success")


def _used(path: Path) -> int:
    found = os.statvfs(path)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def copy_up_without_space(trial: Trial) -> None:
    """A copy-up that does not fit: ENOSPC, nothing changed, the space is free again."""
    mount = trial.mount()
    with watched(trial.base):
        old = trial.tree()
        os.chmod(f"{trial.root}/d", 0o755)
        used = _used(trial.base)
        for _ in range(3):
            _expect(errno.ENOSPC, lambda: _write(f"{trial.root}/big"))
            assert _used(trial.base) <= used + 65_536, "a failed copy-up keeps its space"
        assert trial.tree() == old
        os.close(os.open(f"{trial.root}/big", os.O_WRONLY | os.O_TRUNC))  # needs none of the data
        new = trial.tree()
        assert new["big"]["size"] == 0
    mount.unmount()
    assert judge(trial, {"new": new}) == "new"


def _write(path: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(fd, b"new", 0)
    finally:
        os.close(fd)


def write_without_space(trial: Trial) -> None:
    """Writing until the upper is full: ENOSPC at write or close, what was written stays."""
    mount = trial.mount()
    with watched(trial.base):
        written = 0
        with open(f"{trial.root}/new", "wb", buffering=0) as file:
            try:
                for number in range(100):
                    written += file.write(pattern(number, 65_536))
                os.fsync(file.fileno())
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
            else:
                raise AssertionError("more was written than there is room for")
        assert os.stat(f"{trial.root}/new").st_size >= written
        os.unlink(f"{trial.root}/new")
        _in_time(lambda: Path(f"{trial.root}/new").write_bytes(b"fits"))
        new = trial.tree()
    mount.unmount()
    assert judge(trial, {"new": new}) == "new"


def _in_time(action: Callable[[], object]) -> None:
    """Do `action` again while there is no space: RELEASE and FORGET come when the kernel pleases."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            action()
        except OSError as exc:
            if exc.errno != errno.ENOSPC or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def names_without_inodes(trial: Trial) -> None:
    """Every kind of change without a free inode: ENOSPC, and all or nothing."""
    subprocess.run(
        ["mount", "-o", f"remount,nr_inodes={FEW_INODES}", str(trial.base)], check=True, timeout=10
    )
    mount = trial.mount()
    with watched(trial.base):
        for number in range(FEW_INODES):
            try:
                os.mkdir(f"{trial.root}/fill{number}")
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
                break
        else:
            raise AssertionError("more directories than inodes")
        old = trial.tree()
        actions: tuple[Callable[[], object], ...] = (
            lambda: os.mkdir(f"{trial.root}/more"),
            lambda: os.symlink("f", f"{trial.root}/more"),
            lambda: os.chmod(f"{trial.root}/f", 0o600),
            lambda: os.chmod(f"{trial.root}/d/e/y", 0o600),
            lambda: os.rename(f"{trial.root}/f", f"{trial.root}/more"),
            lambda: os.rename(f"{trial.root}/d", f"{trial.root}/more"),
            lambda: os.link(f"{trial.root}/h", f"{trial.root}/more"),
        )
        for action in actions:
            _expect(errno.ENOSPC, action)
            assert trial.tree() == old, "a change that failed is seen"
    mount.unmount()
    subprocess.run(["mount", "-o", "remount,nr_inodes=10000", str(trial.base)], check=True, timeout=10)
    assert judge(trial, {"old": old}) == "old"


def upper_turns_read_only(trial: Trial) -> None:
    """An upper whose filesystem turns read-only on an error: EROFS for changes, reading works."""
    subprocess.run(["mount", "-o", "remount,size=64m", str(trial.base)], check=True, timeout=10)
    image, device = trial.layout.upper.with_name("image"), trial.layout.upper.with_name("device")
    subprocess.run(["truncate", "--size=16M", str(image)], check=True, timeout=10)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, timeout=30)
    device.mkdir()
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(image), str(device)], check=True, timeout=10)
    for name in ("upper", "work"):
        (device / name).mkdir()
    trial.layout = replace(trial.layout, upper=device / "upper", work=device / "work")
    mount = trial.mount()
    with watched(trial.base):
        os.chmod(f"{trial.root}/g", 0o600)
        old = trial.tree()
        _break(device)
        actions: tuple[Callable[[], object], ...] = (
            lambda: os.mkdir(f"{trial.root}/more"),
            lambda: os.chmod(f"{trial.root}/f", 0o600),
            lambda: _write(f"{trial.root}/f"),
            lambda: _write(f"{trial.root}/g"),
            lambda: os.unlink(f"{trial.root}/f"),
            lambda: os.rename(f"{trial.root}/d", f"{trial.root}/more"),
            lambda: os.setxattr(f"{trial.root}/g", "user.new", b"1"),
        )
        for action in actions:
            _expect(errno.EROFS, action)
        assert trial.tree() == old
    mount.unmount()
    subprocess.run(["umount", str(device)], check=True, timeout=10)
    subprocess.run(["e2fsck", "-fy", str(image)], check=False, capture_output=True, timeout=30)
    subprocess.run(["mount", "-o", "loop", str(image), str(device)], check=True, timeout=10)
    assert judge(trial, {"old": old}) == "old"


def _break(device: Path) -> None:
    """Have ext4 find an error in itself."""
    os.sync()
    source = next(entry.source for entry in mounts.entries() if entry.path == str(device))
    Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("test")


def sigterm(trial: Trial) -> None:
    """SIGTERM: the mount is gone, the server ends with status 0, what was written is there."""
    mount = trial.mount()
    with open(f"{trial.root}/new", "wb") as file:
        file.write(pattern(1, 100_000))
    new = trial.tree()
    mount.server.send_signal(signal.SIGTERM)
    status = mount.server.wait(SIGTERM_SECONDS)
    assert status == 0, f"status {status}: {mount.words()}"
    assert mounts.at(mount.merged) is None, "still mounted"
    assert judge(trial, {"new": new}) == "new"


def sigterm_while_busy(trial: Trial) -> None:
    """SIGTERM while a file is open: the server ends and the mount is gone all the same."""
    mount = trial.mount()
    with watched(trial.base):
        fd = os.open(f"{trial.root}/f", os.O_RDONLY)
        try:
            mount.server.send_signal(signal.SIGTERM)
            status = mount.server.wait(SIGTERM_SECONDS)
        finally:
            with contextlib.suppress(OSError):  # the connection is gone
                os.close(fd)
    assert status == 0, f"status {status}: {mount.words()}"
    assert mounts.at(mount.merged) is None, "still mounted"


def second_mount_of_an_upper(trial: Trial) -> None:
    """An upper in use is refused, with one line, and the first mount goes on."""
    mount = trial.mount()
    other = trial.layout.merged.with_name("other")
    other.mkdir()
    second = type(trial.layout)(trial.layout.lowers, trial.layout.upper, trial.layout.work, other)
    try:
        DRIVERS[trial.driver].mount(second, TRUSTED)
    except RuntimeError as exc:
        if "Traceback" in str(exc):
            raise
    else:
        raise AssertionError("an upper was mounted twice")
    os.chmod(f"{trial.root}/f", 0o600)
    mount.unmount()


def killed_at_random(trial: Trial) -> None:
    """kill -9 under load, several times on one upper: each time it mounts and is whole."""
    rng = random.Random(1)
    subprocess.run(["mount", "-o", "remount,size=256m,nr_inodes=0", str(trial.base)], check=True, timeout=10)
    for number in range(KILLS):
        mount = trial.mount()
        words = [sys.executable, "-m", "tests.load.stress", trial.root, "--seed", str(number)]
        stress = subprocess.Popen([*words, "--steps", str(STRESS_STEPS)], stderr=subprocess.DEVNULL)
        with watched(trial.base):
            time.sleep(rng.uniform(0.4, 1.2))
            bury(mount)
            stress.kill()
            stress.wait(10)
        mount = trial.mount()
        tree = trial.tree()
        mount.unmount()
        broken = [path for path, fields in tree.items() if fields["type"].startswith("error")]
        assert not broken, f"after kill {number}: {broken[:5]}"
        judge(trial, {"as it was": tree})


CASES: dict[str, Callable[[Trial], None]] = {
    case.__name__: case
    for case in (
        copy_up_without_space,
        write_without_space,
        names_without_inodes,
        upper_turns_read_only,
        sigterm,
        sigterm_while_busy,
        second_mount_of_an_upper,
        killed_at_random,
    )
}


def main() -> int:
    """Run one case."""
    isolation.enter_own_mounts("tests.crash.trouble")
    parser = argparse.ArgumentParser(prog="tests.crash.trouble", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--driver", choices=DRIVERS, default="lamina")
    options = parser.parse_args()
    mounts.ensure_fusectl()
    with tempfile.TemporaryDirectory(prefix="lamina-trouble-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        base.chmod(0o755)
        lower = base / "lower"
        lower.mkdir()
        scenes.make_lower(str(lower))
        (base / "trial").mkdir()
        argv = ["mount", "-t", "tmpfs", "-o", f"mode=755,size={SMALL}", "trouble", str(base / "trial")]
        subprocess.run(argv, check=True, timeout=10)
        trial = Trial(options.driver, base, lower, "trial")
        try:
            CASES[options.case](trial)
        finally:
            trial.discard()
    return 0


if __name__ == "__main__":
    sys.exit(main())
