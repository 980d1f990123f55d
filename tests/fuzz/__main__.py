"""Fuzz one target: `python -m tests.fuzz TARGET [SECONDS]`, by atheris (extra `fuzz`), from the kept corpus.

What is found new goes to build/fuzz/TARGET; a crash is written there too.  Inputs worth keeping go
to tests/fuzz/corpus/TARGET, where the tests read them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lamina_runtime"]):
    from tests.fuzz.targets import TARGETS, tried

TOP = Path(__file__).parent


def main(name: str, seconds: str = "60") -> None:
    """Run libFuzzer over a target; it ends the process."""
    new = Path("build/fuzz") / name
    new.mkdir(parents=True, exist_ok=True)
    kept = TOP / "corpus" / name
    flags = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
    flags += [f"-artifact_prefix={new}/crash-", "-max_len=16384", f"-dict={TOP / 'words.dict'}"]
    atheris.Setup([sys.argv[0], *flags, str(new), str(kept)], lambda data: bool(tried(name, data)) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {'|'.join(TARGETS)} [SECONDS]")
    main(*sys.argv[1:])
