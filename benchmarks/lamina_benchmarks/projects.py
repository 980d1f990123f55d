"""What people do all day, as fixtures: a repository, wheels, Debian packages, a source tree.

All are real: the repository holds the files of the small Debian, the others come from the
package index and the archive that this machine is set up to use, and are kept in the cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from lamina_benchmarks import cache, client, fixtures, installed
from lamina_benchmarks.bed import UnavailableError

SECONDS = 300
LARGEST = 64 << 10
SOURCE = "zlib"
STAMP = "2026-01-01T00:00:00Z"
# A collection of garbage in the background would be in the way of ours, and of who measures.
GIT = ("-c", "safe.directory=*", "-c", "gc.auto=0", "-c", "maintenance.auto=false")
IDENTITY = {
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_AUTHOR_DATE": STAMP,
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
    "GIT_COMMITTER_DATE": STAMP,
}


def repository(count: int) -> Path:
    """Return a directory with a git repository "repo" of so many files on a branch "main".

    Its branch "next" has every third file changed, every tenth removed and every seventh copied.
    """
    top = cache.directory() / f"repository-{count}"
    if not top.exists():
        _need("git")
        making = _fresh(top)
        repo = making / "repo"
        repo.mkdir()
        _git(repo, "init", "-q", "-b", "main")
        source = fixtures.debian()
        paths = []
        for path in fixtures.small_files(source, count, LARGEST):
            target = repo / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            paths.append(target)
        _commit(repo, "main")
        _git(repo, "checkout", "-q", "-b", "next")
        for number, path in enumerate(paths):
            if number % 10 == 0:
                path.unlink()
            elif number % 3 == 0:
                with path.open("ab") as stream:
                    stream.write(b"next\n")
            elif number % 7 == 0:
                shutil.copyfile(path, path.with_name(f"{path.name}.copy"))
        _commit(repo, "next")
        _git(repo, "checkout", "-q", "main")
        _git(repo, "gc", "-q")
        making.rename(top)
    return top


def wheels(names: tuple[str, ...]) -> Path:
    """Return a directory with the wheels of packages, and of nothing else."""

    def fetch(at: Path) -> None:
        words = [
            str(installed.python()),
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ]
        _fetch([*words, "--dest", str(at), *names], at)

    return _fetched("wheels-" + "-".join(names), fetch)


def packages(names: tuple[str, ...]) -> Path:
    """Return a directory with Debian packages, which bring no scripts that would have to run."""
    if not fixtures.has_debian():
        raise UnavailableError("needs a Debian tree, made by mmdebstrap as root")
    for program in ("apt-get", "dpkg"):
        _need(program)
    return _fetched("debs-" + "-".join(names), lambda at: _fetch(["apt-get", "download", "-qq", *names], at))


def source() -> Path:
    """Return a directory with the source of a C library, unpacked and configured, as "src"."""
    _need("make")
    if client.compiler() is None:
        raise UnavailableError("no C compiler is installed")

    def fetch(at: Path) -> None:
        _fetch(["tar", "-xf", str(_debian_source(at))], at)
        (unpacked,) = (path for path in at.iterdir() if path.is_dir())
        unpacked.rename(at / "src")
        _fetch(["./configure", "--static"], at / "src")

    return _fetched(f"source-{SOURCE}", fetch)


def _debian_source(at: Path) -> Path:
    """Fetch the original source of a Debian package, from where this machine gets its packages."""
    _need("apt-get")
    own = _fresh(cache.directory() / "apt")
    for name in ("parts", "lists/partial", "cache/archives/partial"):
        (own / name).mkdir(parents=True)
    _sources(own / "parts")
    words = ["apt-get", "-qq"]
    for option, where in (
        ("Etc::sourceparts", "parts"), ("State::lists", "lists"), ("Cache", "cache"),
    ):  # fmt: skip
        words += ["-o", f"Dir::{option}={own / where}"]
    words += ["-o", "Dir::Etc::sourcelist=/dev/null"]
    # A place without sources fails the update as a whole; what counts is whether ours is found.
    subprocess.run([*words, "update"], check=False, timeout=SECONDS, capture_output=True)
    _fetch([*words, "source", "--download-only", SOURCE], at)
    shutil.rmtree(own)
    found = sorted(at.glob("*.orig.tar.*[!c]"))
    if not found:
        raise UnavailableError(f"Debian's source of {SOURCE} has no original archive")
    return found[0]


def _sources(target: Path) -> None:
    """Write apt's list of places once more, asking for sources where it asks for programs."""
    etc = Path("/etc/apt")
    for path in sorted([etc / "sources.list", *etc.glob("sources.list.d/*")]):
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.suffix == ".list":
            lines = [f"deb-src {line[4:]}" for line in lines if line.startswith("deb ")]
        else:
            lines = ["Types: deb-src" if line.startswith("Types:") else line for line in lines]
        (target / path.name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _fetched(name: str, fetch: Callable[[Path], None]) -> Path:
    top = cache.directory() / name
    if not top.exists():
        making = _fresh(top)
        fetch(making)
        making.rename(top)
    return top


def _fetch(argv: list[str], at: Path) -> None:
    try:
        done = subprocess.run(argv, cwd=at, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{' '.join(argv[:3])}: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise UnavailableError(f"{Path(argv[0]).name}: {lines[-1]}")


def _commit(repo: Path, message: str) -> None:
    _git(repo, "add", "--all", "--force")
    _git(repo, "commit", "-q", "-m", message)


def _git(repo: Path, *words: str) -> None:
    environment = os.environ | client.SETTINGS | IDENTITY
    argv = ["git", "-C", str(repo), *GIT, *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise UnavailableError(f"git {words[0]}: {lines[-1]}")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise UnavailableError(f"{program} is not installed")


def _fresh(top: Path) -> Path:
    making = top.with_name(f"{top.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    return making
