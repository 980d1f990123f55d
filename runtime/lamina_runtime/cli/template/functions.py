"""What templates may call: Go's builtins, and the ones that docker adds."""

from __future__ import annotations

from lamina_runtime.cli.template.errors import TemplateError
from lamina_runtime.cli.template.formatting import sprint, sprintf, sprintln
from lamina_runtime.cli.template.values import NO_VALUE, Fields, equal, is_true, less, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _fail(name: str, why: str) -> TemplateError:
    return TemplateError(f"error calling {name}: {why}")


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"wrong type for value in {name}; expected string; got {type_name(value)}")
    return value


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TemplateError(f"wrong type for value in {name}; expected int; got {type_name(value)}")
    return value


def _len(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, list | tuple | dict) and not isinstance(value, Fields):
        return len(value)
    raise _fail("len", f"len of type {type_name(value)}")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, dict) and not isinstance(value, Fields):
            value = value.get(_string("index", key), NO_VALUE)
        elif isinstance(value, list | tuple | str):
            number = _integer("index", key)
            whole = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            if not 0 <= number < len(whole):
                raise _fail("index", f"index out of range: {number}")
            value = whole[number]
        elif value is None:
            raise _fail("index", "index of untyped nil")
        else:
            raise _fail("index", f"can't index item of type {type_name(value)}")
    return value


def _slice(value: object, *numbers: object) -> object:
    if not isinstance(value, str | list | tuple):
        raise _fail("slice", f"can't slice item of type {type_name(value)}")
    if len(numbers) > 2:
        raise _fail("slice", f"too many slice indexes: {len(numbers)}")
    whole = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    begin = _integer("slice", numbers[0]) if numbers else 0
    end = _integer("slice", numbers[1]) if len(numbers) > 1 else len(whole)
    for number in (begin, end):
        if not 0 <= number <= len(whole):
            raise _fail("slice", f"index out of range: {number}")
    if begin > end:
        raise _fail("slice", f"invalid slice index: {begin} > {end}")
    part = whole[begin:end]
    return part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else part


def _eq(first: object, *others: object) -> bool:
    if not others:
        raise _fail("eq", "missing argument for comparison")
    return any(equal("eq", first, other) for other in others)


def to_json(value: object) -> str:
    """Write JSON as docker's `json` function does: compact, keys as they come, nothing escaped for HTML."""
    import json

    return json.dumps(None if value is NO_VALUE else value, ensure_ascii=False, separators=(",", ":"))


def _join(values: object, separator: object) -> str:
    if not isinstance(values, list | tuple):
        raise TemplateError(f"wrong type for value in join; expected []string; got {type_name(values)}")
    return _string("join", separator).join(_string("join", value) for value in values)


def _split(text: object, separator: object) -> list[str]:
    text, separator = _string("split", text), _string("split", separator)
    return text.split(separator) if separator else list(text)


def _title(value: object) -> str:
    text = _string("title", value)
    return "".join(
        letter.upper() if index == 0 or text[index - 1] == " " else letter
        for index, letter in enumerate(text)
    )


def _pad(text: object, before: object, after: object) -> str:
    text = _string("pad", text)
    widths = [_integer("pad", width) for width in (before, after)]
    if not text:
        return ""
    if not all(0 <= width <= 10_000 for width in widths):
        raise _fail("pad", "width out of range")
    return " " * widths[0] + text + " " * widths[1]


def _truncate(text: object, length: object) -> str:
    text, number = _string("truncate", text), _integer("truncate", length)
    if number < 0:
        raise _fail("truncate", "length out of range")
    return text[:number]


def _html(*values: object) -> str:
    text = sprint(values)
    for letter, entity in (("&", "&amp;"), ('"', "&#34;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(letter, entity)
    return text


def _urlquery(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus(sprint(values))


def _printf(template: object, *values: object) -> str:
    return sprintf(_string("printf", template), values)


# Name: function, fewest arguments, most arguments.  `and` and `or` are the executor's: they do
# not look at operands that they need not.
FUNCTIONS: dict[str, tuple[Callable[..., object], int, int]] = {
    "and": (is_true, 1, 1 << 10),
    "or": (is_true, 1, 1 << 10),
    "not": (lambda value: not is_true(value), 1, 1),
    "eq": (_eq, 1, 1 << 10),
    "ne": (lambda first, second: not equal("ne", first, second), 2, 2),
    "lt": (lambda first, second: less("lt", first, second), 2, 2),
    "le": (lambda first, second: less("le", first, second) or equal("le", first, second), 2, 2),
    "gt": (lambda first, second: not less("gt", first, second) and not equal("gt", first, second), 2, 2),
    "ge": (lambda first, second: not less("ge", first, second), 2, 2),
    "len": (_len, 1, 1),
    "index": (_index, 1, 1 << 10),
    "slice": (_slice, 1, 1 << 10),
    "print": (lambda *values: sprint(values), 0, 1 << 10),
    "println": (lambda *values: sprintln(values), 0, 1 << 10),
    "printf": (_printf, 1, 1 << 10),
    "html": (_html, 0, 1 << 10),
    "urlquery": (_urlquery, 0, 1 << 10),
    "json": (to_json, 1, 1),
    "split": (_split, 2, 2),
    "join": (_join, 2, 2),
    "title": (_title, 1, 1),
    "lower": (lambda text: _string("lower", text).lower(), 1, 1),
    "upper": (lambda text: _string("upper", text).upper(), 1, 1),
    "pad": (_pad, 3, 3),
    "truncate": (_truncate, 2, 2),
}

# In the heading of a table the values are words: these leave them alone.
HEADINGS: dict[str, Callable[..., object]] = {
    "json": lambda text: text,
    "split": lambda text, _: text,
    "join": lambda text, _: text,
    "title": lambda text: text,
    "lower": lambda text: text,
    "upper": lambda text: text,
    "pad": _pad,
    "truncate": lambda text, _: text,
}
