r"""Split option strings and layer lists, with the escapes of mount(8) and kernel overlayfs.

Theory.  A backslash takes the next character literally.  The option string is split at commas
first, then a list of layers at colons; the first split therefore keeps every backslash pair
but `\,`, and only the last one takes the escapes away.
"""

from lamina_unionfs.errors import OptionError

BACKSLASH = "\\"
QUOTED = ("context", "fscontext", "defcontext", "rootcontext")  # of SELinux: context="a,b"


def split_escaped(text: str, separator: str) -> list[str]:
    """Split at unescaped separators; backslash pairs stay as they are."""
    if BACKSLASH not in text:
        return text.split(separator)
    parts, current, position = [], "", 0
    while position < len(text):
        char = text[position]
        if char == BACKSLASH and position + 1 < len(text):
            current += text[position : position + 2]
            position += 2
            continue
        if char == separator:
            parts.append(current)
            current = ""
        else:
            current += char
        position += 1
    return [*parts, current]


def unescape(text: str) -> str:
    """Take the escapes away; a backslash at the end stands for itself."""
    if BACKSLASH not in text:
        return text
    result, position = "", 0
    while position < len(text):
        if text[position] == BACKSLASH and position + 1 < len(text):
            position += 1
        result += text[position]
        position += 1
    return result


def split_options(text: str) -> list[str]:
    """Split an option string at its commas; empty options vanish, a quoted value keeps its commas."""
    options: list[str] = []
    pending = ""
    for part in split_escaped(text, ","):
        piece = f"{pending},{part}" if pending else part
        pending = ""
        name, _, value = piece.partition("=")
        if name in QUOTED and value.startswith('"') and (len(value) == 1 or not value.endswith('"')):
            pending = piece
        elif piece:
            options.append(piece)
    if pending:
        raise OptionError(f"{pending.partition('=')[0]}: the quotation mark is not closed")
    return options


def split_paths(text: str, option: str) -> tuple[str, ...]:
    """Split a list of layers at its colons."""
    paths = tuple(unescape(part) for part in split_escaped(text, ":"))
    if "" in paths:
        raise OptionError(f"{option}: empty path in '{text}' (a colon inside a name is written '\\:')")
    return paths


def split_words(line: str) -> list[str]:
    """Split a line of a layers file at its blanks."""
    return [unescape(part) for part in split_escaped(line.strip().replace("\t", " "), " ") if part]
