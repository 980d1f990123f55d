"""`lamina image inspect`, and how anything is shown that is inspected."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command
from lamina_runtime.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("image inspect",),
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    flags=(common.FORMAT_ONE, common.ONE_PLATFORM),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Print all that is known of images."""
    platform = parsed.text("platform")
    return show(parsed, lambda word: _image(engine, word, platform))


def _image(engine: Engine, word: str, platform: str) -> dict[str, object]:
    from lamina_runtime.engine import inspecting, naming

    return inspecting.describe(engine.store, naming.resolve_for(engine.store, word, platform).image)


def show(parsed: Parsed, describe: Callable[[str], dict[str, object]]) -> int:
    """Print descriptions as JSON, or through a template."""
    form = parsed.text("format")
    if form and form != "json":
        from lamina_runtime.cli.template import Fields, Template

        template = Template(form)
        return common.each(
            parsed.arguments, lambda word: output.line(template.render(_fields(describe(word), Fields)))
        )
    found: list[dict[str, object]] = []
    status = common.each(parsed.arguments, lambda word: found.append(describe(word)))
    output.line(json.dump(found).decode() if form == "json" else json.pretty(found))
    return status


def _fields(described: dict[str, object], struct: type[dict[str, object]]) -> dict[str, object]:
    """Mark what docker has as structs: a name that they lack is a mistake, not an empty answer."""
    structs = ("Config", "RootFS", "GraphDriver", "Metadata", "State", "HostConfig", "NetworkSettings")
    return struct(
        {name: struct(value) if name in structs and isinstance(value, dict) else value
         for name, value in described.items()}
    )  # fmt: skip
