"""Rows of programs that people run, on real content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lamina_benchmarks import installed, projects
from lamina_benchmarks.bed import Bed
from lamina_benchmarks.rows.files import debian, nothing
from lamina_benchmarks.rows.row import Row, Scale, Words, apart, both

IMPORTS = "asyncio, decimal, email.message, http.client, logging.config, sqlite3, unittest, xml.dom.minidom"
WHEELS = ("django", "jinja2", "requests", "rich", "sqlalchemy", "urllib3")
PACKAGES = ("linux-libc-dev", "manpages")
ALL_IDS = 65535
TRANSACTIONS = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("create table t (id integer primary key, word text)")
for number in range(int(sys.argv[2])):
    base.execute("begin immediate")
    base.execute("insert into t (word) values (?)", ("x" * 100,))
    base.execute("commit")
"""


def table(scale: Scale) -> list[Row]:
    """Return the rows."""
    return [*_python(), *_git(scale), *_installers(), *_others(scale)]


def _python() -> list[Row]:
    def usr(_: Bed) -> Sequence[Path]:
        return (Path("/usr"),)

    run = ("run", "{m}/bin/python3", "-I", "-B", "-c", f"import {IMPORTS}")
    lower = ("run", "{l}/bin/python3", *run[2:])
    cold = apart(root=(1.05, 0.5), user=(1.1, 0.5))
    return [
        Row(
            "python-cold", "run a Python program, cold", "programs", usr, run, (), lower, bare="lower",
            goals=cold,
        ),
        Row(
            "python-warm", "run a Python program, warm", "programs", usr, run, (run,), lower, bare="lower",
            goals=both(1.0, 0.65),
        ),
    ]  # fmt: skip


def _git(scale: Scale) -> list[Row]:
    def lowers(_: Bed) -> Sequence[Path]:
        return (projects.repository(scale.repository),)

    git = ("run", "git", "-C", "{m}/repo", "-c", "safe.directory=*")
    status, checkout = (*git, "status", "--porcelain"), (*git, "checkout", "-q", "next")
    count, steady = f"{scale.repository:,} files", ("read", "{l}")
    return [
        Row("git-status", f"git status, {count}", "programs", lowers, status, (status,), steady),
        Row("git-checkout", f"git checkout, {count}", "programs", lowers, checkout, (status,), steady),
    ]


def _installers() -> list[Row]:

    def wheels() -> Mapping[str, str]:
        return {"wheels": str(projects.wheels(WHEELS))}

    def packages() -> Mapping[str, str]:
        return {"packages": str(projects.packages(PACKAGES))}

    pip: Words = (
        "run",
        str(installed.python()),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-compile",
    )
    pip = (*pip, "--ignore-installed", "--no-warn-script-location", "--find-links", "{wheels}")
    dpkg = ("run", "dpkg", "--root={m}", "--install", "--recursive", "{packages}")
    return [
        Row(
            "pip-install", f"pip install of {len(WHEELS)} wheels", "programs", nothing,
            (*pip, "--prefix", "{m}/new", *WHEELS), places=wheels, bare="upper", quick=False,
        ),
        Row(
            "dpkg-install", f"dpkg -i of {len(PACKAGES)} packages", "programs", debian, dpkg, (),
            ("read", "{l}"), places=packages, ids=ALL_IDS,
        ),
    ]  # fmt: skip


def _others(scale: Scale) -> list[Row]:
    def lowers(_: Bed) -> Sequence[Path]:
        return (projects.source(),)

    make = ("run", "make", "-s", "-C", "{m}/src", "CFLAGS=-O0", "libz.a", "-j2")
    base = (
        "run",
        str(installed.python()),
        "-I",
        "-S",
        "-c",
        TRANSACTIONS,
        "{m}/base",
        str(scale.transactions),
    )
    return [
        Row(
            "build", f"make of Debian's {projects.SOURCE}", "programs", lowers, make, (), ("read", "{l}"),
            quick=False,
        ),
        Row(
            "sqlite", f"SQLite, {scale.transactions:,} transactions", "programs", nothing, base,
            bare="upper", operations=scale.transactions,
        ),
    ]  # fmt: skip
