"""`--memory` and its like, of `run`, `create` and `update`."""

from __future__ import annotations

import os

from lamina_runtime.cli import human
from lamina_runtime.cli.flags import NUMBER, STRING, Flag
from lamina_runtime.container.limits import NANO, Limits
from lamina_runtime.errors import UsageError
from lamina_runtime.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed

FLAGS = (
    Flag("blkio-weight", "Block IO (relative weight), between 10 and 1000", kind=NUMBER),
    Flag("cpu-shares", "CPU shares (relative weight)", short="c", kind=NUMBER),
    Flag("cpus", "Number of CPUs", kind=STRING, word="decimal"),
    Flag("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)", kind=STRING),
    Flag("memory", "Memory limit", short="m", kind=STRING, word="bytes"),
    Flag("memory-reservation", "Memory soft limit", kind=STRING, word="bytes"),
    Flag("memory-swap", "Limit of memory plus swap: '-1' for unlimited swap", kind=STRING, word="bytes"),
    Flag("pids-limit", "Limit of processes and threads (-1 for unlimited)", kind=NUMBER),
)
_CPUS = r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*"


def wished(parsed: Parsed) -> Limits:
    """Return what the flags say."""
    found = _read(parsed)
    found = replace(found, pids=max(0, found.pids))  # no limit is what a container has without the flag
    found.check(os.cpu_count() or 1)
    return found


def _read(parsed: Parsed) -> Limits:
    return Limits(
        memory=size("memory", parsed.text("memory")),
        memory_swap=size("memory-swap", parsed.text("memory_swap")),
        memory_reservation=size("memory-reservation", parsed.text("memory_reservation")),
        nano_cpus=_cpus(parsed.text("cpus")),
        cpu_shares=parsed.number("cpu_shares"),
        cpuset_cpus=_set(parsed.text("cpuset_cpus")),
        pids=_pids(parsed),
        blkio_weight=parsed.number("blkio_weight"),
    )


def given(parsed: Parsed) -> dict[str, object]:
    """Return the fields of Limits that the flags name."""
    names = {"cpus": "nano_cpus", "pids_limit": "pids"}
    keys = [flag.key for flag in FLAGS if flag.key in parsed.given]
    found = _read(parsed)
    return {names.get(key, key): getattr(found, names.get(key, key)) for key in keys}


def size(flag: str, text: str) -> int:
    """Read docker's sizes for memory: b, k, m and g are binary; -1 where the flag knows it."""
    if not text or (text == "-1" and flag == "memory-swap"):
        return int(text or 0)
    import re

    try:
        return human.parse_size(re.sub(r"(?i)^([0-9.]+)([kmgt])i?b?$", r"\1\2iB", text))
    except ValueError:
        raise UsageError(f'invalid argument "{text}" for "--{flag}" flag: invalid size: {text!r}') from None


def _pids(parsed: Parsed) -> int:
    """Return the limit, -1 for every number that means none."""
    wanted = parsed.number("pids_limit")
    return wanted if wanted > 0 or "pids_limit" not in parsed.given else -1


def _cpus(text: str) -> int:
    if not text:
        return 0
    from decimal import Decimal, InvalidOperation

    try:
        nano = Decimal(text) * NANO
        if not 0 <= nano < 1 << 62 or nano != int(nano):
            raise ValueError
        return int(nano)
    except (InvalidOperation, ValueError, OverflowError):
        raise UsageError(f'invalid argument "{text}" for "--cpus" flag: not a number of CPUs') from None


def _set(text: str) -> str:
    if not text:
        return text
    import re

    if not re.fullmatch(_CPUS, text):
        raise UsageError(f'invalid argument "{text}" for "--cpuset-cpus" flag: 0-3 or 0,1 expected')
    online = _online()
    if not _numbers(text) <= _numbers(online):
        raise UsageError(f"requested CPUs are not available: {text}, available: {online}")
    return text


def _numbers(text: str) -> set[int]:
    """Return the numbers of a list like 0-3,5."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if high < low:
            raise UsageError(
                f'invalid argument "{text}" for "--cpuset-cpus" flag: {part} ends before it begins'
            )
        found.update(range(low, high + 1))
    return found


def _online() -> str:
    """Return the processors of this machine as such a list."""
    try:
        with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
            return file.read(4096).strip()
    except OSError:
        return f"0-{(os.cpu_count() or 1) - 1}"
