"""Read the values of options: each function returns the value or raises OptionError naming the option."""

from lamina_unionfs.errors import OptionError

UINT32 = 2**32


def flag(name: str, value: str | None) -> bool:
    """Read an option that is given without a value."""
    if value is not None:
        raise OptionError(f"{name} takes no value, not '{value}'")
    return True


def text(name: str, value: str | None) -> str:
    """Read any value but an empty one."""
    if not value:
        raise OptionError(f"{name} needs a value")
    return value


def choice(name: str, value: str | None, choices: tuple[str, ...]) -> str:
    """Read one of a few words."""
    if value not in choices:
        raise OptionError(f"{name} must be one of {', '.join(choices)}, not '{value or ''}'")
    return value


def on_off(name: str, value: str | None) -> bool:
    """Read on or off, or 1 or 0."""
    return choice(name, value, ("on", "off", "1", "0")) in ("on", "1")


def number(name: str, value: str | None, *, top: int = UINT32 - 1) -> int:
    """Read a decimal number from 0 to `top`."""
    if value is None or not (value.isascii() and value.isdigit()) or len(value) > 10 or int(value) > top:
        raise OptionError(f"{name} must be a number from 0 to {top}, not '{value or ''}'")
    return int(value)


def seconds(name: str, value: str | None) -> float:
    """Read a time in seconds."""
    try:
        result = float(value or "")
    except ValueError:
        result = -1.0
    if not 0 <= result < float("inf"):
        raise OptionError(f"{name} must be a number of seconds, not '{value or ''}'")
    return result


def id_map(name: str, value: str | None) -> tuple[tuple[int, int, int], ...]:
    """Read [:]HOST:TO:COUNT[:HOST:TO:COUNT...], as podman writes it."""
    fields = [field for field in text(name, value).split(":") if field]
    if not fields or len(fields) % 3:
        raise OptionError(f"{name} must be HOST:TO:COUNT, repeated, not '{value}'")
    numbers = [number(name, field) for field in fields]
    rows = tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
    for host, to, count in rows:
        if count == 0 or host + count > UINT32 or to + count > UINT32:
            raise OptionError(f"{name}: {host}:{to}:{count} is no range of ids")
    return rows
