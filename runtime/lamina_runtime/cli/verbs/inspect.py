"""`lamina inspect`, `lamina image inspect`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("inspect", "image inspect"),
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    flags=(
        common.FORMAT_ONE,
        Flag("type", 'Only inspect objects of the given type ("image")', kind=STRING),
    ),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Print all that is known of images."""
    from lamina_runtime.engine import inspecting, naming
    from lamina_runtime.errors import UsageError

    if parsed.text("type") not in ("", "image"):
        raise UsageError(f'"{parsed.text("type")}" is not a valid value for --type: "image" is')
    form = parsed.text("format")

    def describe(word: str) -> dict[str, object]:
        return inspecting.describe(engine.store, naming.resolve(engine.store, word).image)

    if form and form != "json":
        from lamina_runtime.cli.template import Fields, Template

        template = Template(form)
        return common.each(
            parsed.arguments, lambda word: output.line(template.render(_fields(describe(word), Fields)))
        )
    found: list[dict[str, object]] = []
    status = common.each(parsed.arguments, lambda word: found.append(describe(word)))
    import json

    if form == "json":
        output.line(json.dumps(found, ensure_ascii=False, separators=(",", ":")))
    else:
        output.line(json.dumps(found, ensure_ascii=False, indent=4))
    return status


def _fields(described: dict[str, object], struct: type[dict[str, object]]) -> dict[str, object]:
    """Mark what docker has as structs: a name that they lack is a mistake, not an empty answer."""
    structs = ("Config", "RootFS", "GraphDriver", "Metadata")
    return struct(
        {name: struct(value) if name in structs and isinstance(value, dict) else value
         for name, value in described.items()}
    )  # fmt: skip
