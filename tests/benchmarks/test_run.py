"""A small run of the real thing, as root and as a plain user: measured, stored, shown again, drawn."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import accounts, mounts

pytestmark = [pytest.mark.fuse, pytest.mark.slow, pytest.mark.requires("driver")]
WORDS = ("--quick", "--rows", "lookup-1,start", "--samples", "2")
SECONDS = 100


def bench(*words: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    argv = [*prefix, sys.executable, "-m", "lamina_benchmarks", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.root
def test_a_run_as_root(tmp_path: Path) -> None:
    file, pictures = tmp_path / "run.json", tmp_path / "plots"
    words = (*WORDS, "--targets", "kernel,lamina", "--json", str(file), "--plots", str(pictures))
    done = bench(*words)
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stderr  # no terminal, no writing over lines
    assert not [entry for entry in mounts.entries() if entry.source == "lamina-bench"]
    document = json.loads(file.read_text())
    cells = {(cell["row"], cell["column"]): cell for cell in document["cells"]}
    assert len(cells["lookup-1", "kernel"]["values"]) == 2
    assert cells["lookup-1", "lamina"]["requests"]["LOOKUP"] in range(500, 510)
    assert cells["lookup-1", "lamina"]["rss_kib"] > 1000
    assert document["environment"]["kernel"]
    page = (pictures / "index.html").read_text()
    assert "ratios-pinned.svg" in page
    assert (pictures / "ratios-pinned.svg").read_text().rstrip().endswith("</svg>")
    assert (pictures / "ratios-pinned.png").read_bytes().startswith(b"\x89PNG")

    again = bench("--from", str(file), "--compare", str(file))
    assert again.returncode == 0
    table = [line for line in done.stdout.splitlines() if line.startswith("500 lookups")]
    assert set(table) <= set(again.stdout.splitlines())
    assert "1.00 (1.00)" in again.stdout


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_shows_what_it_has(number: signal.Signals) -> None:
    words = (
        "--quick",
        "--rows",
        "lookup-1,walk-1000,create*",
        "--samples",
        "1",
        "--targets",
        "kernel,lamina",
    )
    argv = [sys.executable, "-m", "lamina_benchmarks", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if " 2/" in line:
                break
        own = set(Path("/var/tmp").glob(f"lb-{run.pid}-*"))
        run.send_signal(number)
        output, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 130
    assert "left out: interrupted" in output
    assert own
    assert not any(path.exists() for path in own)


@pytest.mark.userns
def test_a_run_as_a_plain_user(tmp_path: Path) -> None:
    reason = accounts.ensure_user()
    if reason is not None:
        pytest.skip(reason)
    prefix = tuple(accounts.as_user())
    done = bench(*WORDS, "--rows", "create,copyup-ext4", "--targets", "kernel,lamina-userns", prefix=prefix)
    assert done.returncode == 0, done.stderr
    assert "user: plain, in a user namespace" in done.stdout
    assert any(line.startswith("create 1,000") and "/" in line for line in done.stdout.splitlines())
    assert "left out: copyup-ext4: " in done.stdout


@pytest.mark.userns
def test_where_nothing_is_to_be_had_one_line_says_why() -> None:
    reason = accounts.ensure_user()
    if reason is not None:
        pytest.skip(reason)
    # Inside a namespace with no further ones allowed there is no way to mount.
    forbid = ("unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "sh")
    lesser = ("setpriv", "--reuid=0", "--inh-caps=-all", "--bounding-set=-all", "--")
    done = bench(*WORDS, prefix=(*forbid, *lesser))
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("lamina bench: no namespace can be had to mount in: ")
