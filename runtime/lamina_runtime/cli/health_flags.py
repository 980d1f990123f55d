"""`--health-*`: how a container is asked whether it is well."""

from __future__ import annotations

from lamina_runtime.cli.flags import NUMBER, STRING, Flag
from lamina_runtime.engine import moments
from lamina_runtime.errors import UsageError
from lamina_runtime.oci.container import Healthcheck

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed

FLAGS = (
    Flag("health-cmd", "Command to run to check health", kind=STRING),
    Flag("health-interval", "Time between running the check (ms|s|m|h) (default 30s)", kind=STRING),
    Flag("health-retries", "Consecutive failures needed to report unhealthy", kind=NUMBER),
    Flag("health-start-interval", "Time between checks during the start period (default 5s)", kind=STRING),
    Flag("health-start-period", "Start period before failures count (default 0s)", kind=STRING),
    Flag("health-timeout", "Maximum time to allow one check to run (default 30s)", kind=STRING),
    Flag("no-healthcheck", "Disable any container-specified HEALTHCHECK"),
)
SHORTEST = 1_000_000  # nanoseconds, docker's


def wished(parsed: Parsed) -> Healthcheck | None:
    """Return what the flags say; None where they say nothing."""
    given = [flag.key for flag in FLAGS if flag.key in parsed.given and flag.key != "no_healthcheck"]
    if parsed.switch("no_healthcheck"):
        if given:
            raise UsageError("--no-healthcheck conflicts with --health-* options")
        return Healthcheck(test=("NONE",))
    if not given:
        return None
    retries = parsed.number("health_retries")
    if retries < 0:
        raise UsageError("--health-retries cannot be negative")
    command = parsed.text("health_cmd")
    return Healthcheck(
        test=("CMD-SHELL", command) if command else (),
        interval=_time(parsed, "health_interval"),
        timeout=_time(parsed, "health_timeout"),
        start_period=_time(parsed, "health_start_period"),
        start_interval=_time(parsed, "health_start_interval"),
        retries=retries,
    )


def _time(parsed: Parsed, key: str) -> int:
    text = parsed.text(key)
    flag = f"--{key.replace('_', '-')}"
    if not text:
        return 0
    if text.startswith("-"):
        raise UsageError(f"{flag} cannot be negative")
    seconds = moments.from_duration(text)
    if seconds is None or seconds >= 1e9:
        raise UsageError(f'invalid argument "{text}" for "{flag}" flag: not a duration (300ms, 1m30s)')
    nanoseconds = round(seconds * 1_000_000_000)
    if 0 < nanoseconds < SHORTEST:
        raise UsageError(f"{flag} cannot be less than 1ms")
    return nanoseconds
