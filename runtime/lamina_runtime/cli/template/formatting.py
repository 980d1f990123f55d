"""printf, print and println in Go's manner."""

from __future__ import annotations

from lamina_runtime.cli.template.values import Fields, float_text, quoted, text_of, type_name

WIDEST = 1_000_000  # Go's own limit of widths and precisions


def sprint(values: tuple[object, ...]) -> str:
    """Go's Sprint: a space between operands of which neither is a string."""
    text = ""
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            text += " "
        text += text_of(value)
    return text


def sprintln(values: tuple[object, ...]) -> str:
    """Go's Sprintln: spaces between all operands, and a newline."""
    return " ".join(map(text_of, values)) + "\n"


def sprintf(template: str, values: tuple[object, ...]) -> str:
    """Go's Sprintf for the verbs v s q d x X o b c U e f g t T; misuse shows in the text, as there."""
    out = []
    used = 0
    position = 0
    while True:
        percent = template.find("%", position)
        if percent < 0:
            out.append(template[position:])
            break
        out.append(template[position:percent])
        flags, width, precision, position, used = _directive(template, percent + 1, values, used)
        verb = template[position : position + 1]
        position += 1
        if verb == "":
            out.append("%!(NOVERB)")
        elif verb == "%":
            out.append("%")
        elif used >= len(values):
            out.append(f"%!{verb}(MISSING)")
        else:
            out.append(_padded(_verb(verb, flags, precision, values[used]), flags, width))
            used += 1
    if used < len(values):
        extra = ", ".join(f"{type_name(value)}={text_of(value)}" for value in values[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _directive(
    template: str, position: int, values: tuple[object, ...], used: int
) -> tuple[str, int, int | None, int, int]:
    """Read flags, width and precision; a star takes the next value."""
    flags = ""
    while template[position : position + 1] in tuple("+-# 0"):
        flags += template[position]
        position += 1
    width, position, used = _number(template, position, values, used)
    precision = None
    if template[position : position + 1] == ".":
        number, position, used = _number(template, position + 1, values, used)
        precision = number or 0
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    return flags, width or 0, precision, position, used


def _number(
    template: str, position: int, values: tuple[object, ...], used: int
) -> tuple[int | None, int, int]:
    if template[position : position + 1] == "*":
        value = values[used] if used < len(values) else 0
        return (value if isinstance(value, int) and abs(value) <= WIDEST else 0), position + 1, used + 1
    end = position
    while template[end : end + 1].isdigit() and end - position < 7:
        end += 1
    return (min(int(template[position:end]), WIDEST) if end > position else None), end, used


def _padded(text: str, flags: str, width: int) -> str:
    if len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags:
        sign = text[:1] if text[:1] in ("+", "-") else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _verb(verb: str, flags: str, precision: int | None, value: object) -> str:
    if verb == "T":
        return type_name(value)
    if verb == "v":
        return _go_syntax(value) if "#" in flags else _cut(text_of(value), precision, value)
    text = None
    if isinstance(value, bool):
        text = text_of(value) if verb == "t" else None
    elif isinstance(value, int):
        text = _integer(verb, flags, value)
    elif isinstance(value, float):
        text = _real(verb, flags, precision, value)
    elif isinstance(value, str):
        text = _string(verb, flags, precision, value)
    elif isinstance(value, list | tuple):
        return "[" + " ".join(_verb(verb, flags, precision, part) for part in value) + "]"
    elif isinstance(value, Fields):
        return "{" + " ".join(_verb(verb, flags, precision, part) for part in value.values()) + "}"
    elif isinstance(value, dict):
        pairs = (
            f"{_verb(verb, flags, precision, k)}:{_verb(verb, flags, precision, value[k])}"
            for k in sorted(value)
        )
        return "map[" + " ".join(pairs) + "]"
    if text is not None:
        return text
    return f"%!{verb}({type_name(value)}={text_of(value)})" if value is not None else f"%!{verb}(<nil>)"


def _cut(text: str, precision: int | None, value: object) -> str:
    return text[:precision] if isinstance(value, str) and precision is not None else text


def _integer(verb: str, flags: str, value: int) -> str | None:
    codes = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b"}
    if verb in codes:
        alternate = "#" if "#" in flags and verb in "xX" else ""
        sign = "+" if "+" in flags else " " if " " in flags else ""
        return format(value, f"{sign}{alternate}{codes[verb]}")
    if verb in "cqU" and 0 <= value <= 0x10FFFF:
        letter = chr(value)
        return {"c": letter, "q": f"'{letter}'", "U": f"U+{value:04X}"}[verb]
    return None


def _real(verb: str, flags: str, precision: int | None, value: float) -> str | None:
    if verb not in "eEfFgG":
        return None
    sign = "+" if "+" in flags else ""
    if verb in "gG" and precision is None:
        return (sign if value >= 0 else "") + float_text(value)
    return format(value, f"{sign}.{6 if precision is None else min(precision, 100)}{verb}")


def _string(verb: str, flags: str, precision: int | None, value: str) -> str | None:
    if verb == "s":
        return _cut(value, precision, value)
    if verb == "q":
        return f"`{value}`" if "#" in flags and "`" not in value else quoted(_cut(value, precision, value))
    if verb in "xX":
        raw = value.encode("utf-8", "surrogateescape")
        digits = raw.hex(" ") if " " in flags else raw.hex()
        return digits.upper() if verb == "X" else digits
    return None


def _go_syntax(value: object) -> str:
    return quoted(value) if isinstance(value, str) else text_of(value)
