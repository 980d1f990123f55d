"""Help as docker prints it: usage, what it does, aliases, flags in two columns."""

from __future__ import annotations

from lamina_runtime.cli import catalogue, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 90


def of_command(name: str, command: flags.Command) -> str:
    """Return the help of one verb under the name that was typed."""
    parts = [f"Usage:  lamina {name} {command.usage}".rstrip(), "", command.summary]
    if len(command.names) > 1:
        parts += ["", "Aliases:", "  " + ", ".join(f"lamina {alias}" for alias in command.names)]
    parts += ["", "Options:", *_options(command.flags)]
    if command.details:
        parts += ["", command.details.strip("\n")]
    return "\n".join(parts) + "\n"


def of_group(name: str, verbs: Sequence[catalogue.Verb]) -> str:
    """Return the help of a group of verbs."""
    rows = [(verb.name.partition(" ")[2], verb.summary) for verb in sorted(verbs, key=lambda verb: verb.name)]
    return "\n".join(
        [
            f"Usage:  lamina {name} COMMAND",
            "",
            catalogue.GROUPS[name],
            "",
            "Commands:",
            *_columns(rows),
            "",
            f"Run 'lamina {name} COMMAND --help' for more information on a command.",
            "",
        ]
    )


def overview(top: flags.Command) -> str:
    """Return the help of the command itself."""
    verbs = [(verb.name, verb.summary) for verb in catalogue.group("")]
    parts = [
        f"Usage:  lamina {top.usage}",
        "",
        "Images from anywhere, listed, checked, sent on, and mounted as directories without root",
        "",
        "Commands:",
        *_columns(verbs),
        "",
        "Management Commands:",
        *_columns(list(catalogue.GROUPS.items())),
        "",
        "Global Options:",
        *_options(top.flags),
        "",
        "Run 'lamina COMMAND --help' for more information on a command.",
    ]
    return "\n".join(parts) + "\n"


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:{width}}  {text}" for name, text in rows]


def _options(options: Sequence[flags.Flag]) -> list[str]:
    heads = []
    for flag in options:
        short = f"-{flag.short}, " if flag.short else "    "
        heads.append(f"  {short}--{flag.name}{f' {flag.word}' if flag.word else ''}")
    width = max(map(len, heads)) + 3
    lines = []
    for head, flag in sorted(zip(heads, options, strict=True), key=lambda pair: pair[1].name):
        first, *further = _wrapped(flag.text + _default(flag), WIDTH - width)
        lines.append(f"{head:{width}}{first}")
        lines += [" " * width + text for text in further]
    return lines


def _default(flag: flags.Flag) -> str:
    if flag.kind == flags.SWITCH:
        return " (default true)" if flag.default else ""
    if flag.default in ("", (), 0):
        return ""
    return f' (default "{flag.default}")' if flag.kind == flags.STRING else f" (default {flag.default})"


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text at spaces; its own line breaks stay."""
    lines = []
    for paragraph in text.split("\n"):
        current = ""
        for word in paragraph.split(" "):
            if current and len(current) + 1 + len(word) > width:
                lines.append(current)
                current = word
            else:
                current = f"{current} {word}" if current else word
        lines.append(current)
    return lines
