"""Programs that are hard on a file system: `python -m tests.integration.programs CASE`.

Each case mounts a lower of its own below an empty upper, in a mount namespace of its own.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

from tests.differential import isolation
from tests.differential.drivers import DRIVERS
from tests.integration import rootfs
from tests.load import bed
from tests.support import mounts

ROWS = 4000
STEP_SECONDS = 100


def _database(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30)
    connection.execute(f"pragma journal_mode={mode}")
    connection.execute("pragma mmap_size=8000000")
    return connection


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute("create table if not exists t (id integer primary key, n integer, data blob)")
    connection.execute("create index if not exists i on t (n)")
    rows = ((number, os.urandom(600)) for number in range(ROWS))
    connection.executemany("insert into t (n, data) values (?, ?)", rows)
    connection.commit()


def _rewrite(connection: sqlite3.Connection) -> None:
    connection.execute("update t set data = zeroblob(500) || data where n % 3 = 0")
    connection.commit()
    connection.execute("delete from t where n % 5 = 0")
    connection.commit()
    connection.execute("vacuum")


def _assert_whole(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)], path
        count = connection.execute("select count(*) from t where n % 5 = 0").fetchone()[0]
        assert count == 0, f"{path}: {count} deleted rows are back"
    connection.close()


def sqlite_rewrites_a_database_of_the_lower(base: Path, driver: str) -> None:
    """Databases of a lower, one of them by two names, are rewritten in several journal modes."""
    lower = base / "lower"
    lower.mkdir()
    modes = ("delete", "wal", "truncate")
    for mode in modes:
        connection = _database(lower / f"{mode}.db", mode)
        _fill(connection)
        connection.close()
    os.link(lower / "delete.db", lower / "other-name.db")
    with bed.opened(driver, base, lower) as opened:
        for mode in modes:
            reader = _database(opened.root / f"{mode}.db", mode)
            reader.execute("select count(*) from t").fetchone()  # opened before copy-up
            writer = _database(opened.root / f"{mode}.db", mode)
            _rewrite(writer)
            _fill(writer)
            _rewrite(writer)
            assert reader.execute("pragma integrity_check").fetchall() == [("ok",)], mode
            reader.close()
            writer.close()
        for remount in (False, True):
            if remount:
                opened.remount()
            for mode in modes:
                _assert_whole(opened.root / f"{mode}.db")
            _assert_whole(opened.root / "other-name.db")


def _deb(folder: Path, version: str) -> Path:
    """Build a package with a program, a configuration file, links, and a maintainer script."""
    tree = folder / f"lamina-probe-{version}"
    for name in ("DEBIAN", "etc", "usr/bin", "usr/share/lamina-probe/deep/er"):
        (tree / name).mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: lamina-probe\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <n@localhost>\n"
        "Description: a probe\n"
    )
    (tree / "DEBIAN/conffiles").write_text("/etc/lamina-probe.conf\n")
    script = tree / "DEBIAN/postinst"
    script.write_text("#!/bin/sh\nset -e\necho configured $2 >> /var/log/lamina-probe\n")
    script.chmod(0o755)
    program = tree / "usr/bin/lamina-probe"
    program.write_text(f"#!/bin/sh\necho probe {version}\n")
    program.chmod(0o755)
    os.link(program, tree / "usr/bin/lamina-probe-link")
    (tree / "usr/bin/lamina-probe-symlink").symlink_to("lamina-probe")
    (tree / "etc/lamina-probe.conf").write_text(f"version {version}\n")
    for number in range(200):
        (tree / f"usr/share/lamina-probe/deep/er/{version}-{number}").write_text("x" * number)
    target = folder / f"lamina-probe-{version}.deb"
    words = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(target)]
    subprocess.run(words, check=True, capture_output=True, timeout=STEP_SECONDS)
    return target


def _chroot(root: Path, script: str) -> str:
    words = ["chroot", str(root), "/bin/sh", "-ec", textwrap.dedent(script)]
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C",
    }
    done = subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=STEP_SECONDS,
        errors="replace",
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def dpkg_and_apt_install_upgrade_and_remove(base: Path, driver: str) -> None:
    """A package is installed by dpkg, upgraded by apt-get, removed; then Debian's own are purged."""
    with bed.opened(driver, base, rootfs.debian()) as opened:
        for version in ("1", "2"):
            shutil.copy(_deb(base, version), opened.root / "root")
        _chroot(opened.root, "dpkg -i /root/lamina-probe-1.deb; dpkg --verify lamina-probe")
        assert (
            _chroot(opened.root, "lamina-probe; lamina-probe-link; lamina-probe-symlink") == "probe 1\n" * 3
        )
        _chroot(
            opened.root,
            "echo mine >> /usr/share/lamina-probe/deep/er/1-3; apt-get -qy install /root/lamina-probe-2.deb",
        )
        assert _chroot(opened.root, "lamina-probe-link; cat /etc/lamina-probe.conf") == "probe 2\nversion 2\n"
        assert _chroot(opened.root, "ls /usr/share/lamina-probe/deep/er | grep -c ^1- || true").strip() == "0"
        opened.remount()
        assert _chroot(opened.root, "lamina-probe; stat -c %h /usr/bin/lamina-probe") == "probe 2\n2\n"
        _chroot(opened.root, "apt-get -qy purge lamina-probe; test ! -e /usr/share/lamina-probe")
        _chroot(
            opened.root,
            "test ! -e /etc/lamina-probe.conf; dpkg --audit; useradd --create-home somebody; ldconfig",
        )


def file_tools_move_copy_and_remove_trees(base: Path, driver: str) -> None:
    """cp -a, mv, tar, chown -R, chmod -R, rm -rf and find on a Debian tree."""
    with bed.opened(driver, base, rootfs.debian()) as opened:
        _chroot(
            opened.root,
            """
            cp -a /usr/share/perl5 /tmp/copy
            test "$(cd /tmp/copy; find . | sort | md5sum)" = "$(cd /usr/share/perl5; find . | sort | md5sum)"
            diff -r /usr/share/perl5 /tmp/copy
            before=$(cd /usr/share/perl5; find . -type f -exec md5sum {} + | sort | md5sum)
            mv /usr/share/perl5 /usr/share/moved
            test "$before" = "$(cd /usr/share/moved; find . -type f -exec md5sum {} + | sort | md5sum)"
            mkdir /usr/share/perl5
            test -z "$(ls -A /usr/share/perl5)"
            chown -R 7:8 /usr/share/moved
            test -z "$(find /usr/share/moved ! -user 7)"
            chmod -R go= /etc
            test -z "$(find /etc ! -type l -perm /077)"
            tar -C /usr/lib -cf - x86_64-linux-gnu/perl-base | tar -C /tmp -xf -
            diff -r /usr/lib/x86_64-linux-gnu/perl-base /tmp/x86_64-linux-gnu/perl-base
            rm -rf /usr/share/moved /usr/share/doc /tmp/copy
            test ! -e /usr/share/doc
            mkdir /usr/share/doc
            test -z "$(ls -A /usr/share/doc)"
            """,
        )
        bed.assert_healthy(opened)


CASES: dict[str, Callable[[Path, str], None]] = {
    case.__name__: case
    for case in (
        sqlite_rewrites_a_database_of_the_lower,
        dpkg_and_apt_install_upgrade_and_remove,
        file_tools_move_copy_and_remove_trees,
    )
}


def main() -> int:
    """Run one case."""
    isolation.enter_own_mounts("tests.integration.programs")
    parser = argparse.ArgumentParser(prog="tests.integration.programs", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--driver", choices=DRIVERS, default="lamina")
    options = parser.parse_args()
    mounts.ensure_fusectl()
    with tempfile.TemporaryDirectory(
        prefix="lamina-programs-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as name:
        base = Path(name)
        base.chmod(0o755)
        CASES[options.case](base, options.driver)
    return 0


if __name__ == "__main__":
    sys.exit(main())
