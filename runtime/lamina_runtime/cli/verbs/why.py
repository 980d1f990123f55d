"""`lamina why`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.tracing import Answer, Source

COMMAND = Command(
    ("why",),
    "[OPTIONS] IMAGE PATH",
    "Show which layer a path of an image comes from",
    flags=(Flag("format", "'json', or a Go template", kind=STRING), common.NO_TRUNC),
    arguments=(2, 2),
    details="Layers are counted from 1, the base.",
    own=True,
)
WIDEST = 72


def run(parsed: Parsed, engine: Engine) -> int:
    """Explain one path."""
    from lamina_runtime.engine import naming, tracing
    from lamina_runtime.errors import NotFoundError

    word, path = parsed.arguments
    store = engine.store
    with store.lease("why"):
        answer = tracing.why(store, naming.resolve(store, word).image, path)
    form = parsed.text("format")
    if form == "json":
        import json

        output.line(json.dumps(_fields(answer), ensure_ascii=False))
    elif form:
        from lamina_runtime.cli.template import Fields, render

        output.line(render(form, Fields(_fields(answer))))
    else:
        _print(answer, full=parsed.switch("no_trunc"))
    if answer.source is None:
        raise NotFoundError(f"{answer.path}: not in {word}")
    return 0


def _fields(answer: Answer) -> dict[str, object]:
    return {
        "Path": answer.path,
        "Source": _source(answer.source) if answer.source else None,
        "Link": answer.link,
        "Hides": [{**_source(one.source), "HiddenBy": one.by, "How": one.how} for one in answer.hides],
    }


def _source(source: Source) -> dict[str, object]:
    return {
        "Layer": source.layer,
        "DiffID": source.diff_id,
        "Kind": source.kind,
        "Size": source.size,
        "CreatedBy": source.created_by,
    }


def _print(answer: Answer, *, full: bool) -> None:
    link = f" -> {answer.link}" if answer.link else ""
    output.line(f"{answer.path}{link}")
    if answer.source:
        output.line(f"  from layer {_described(answer.source, answer.layers, full=full)}")
        _created(answer.source, full=full)
    for hidden in answer.hides:
        how = (
            f"{hidden.how} in layer {hidden.by}"
            if hidden.how != "replaced"
            else f"replaced by layer {hidden.by}"
        )
        output.line(f"  hides layer {_described(hidden.source, answer.layers, full=full)}: {how}")
        _created(hidden.source, full=full)


def _described(source: Source, layers: int, *, full: bool) -> str:
    digest = source.diff_id if full else source.diff_id.partition(":")[2][:12]
    size = f", {human.size(source.size)}" if source.kind == "file" else ""
    return f"{source.layer}/{layers} {digest} ({source.kind}{size})"


def _created(source: Source, *, full: bool) -> None:
    by = " ".join(source.created_by.split())
    if by:
        output.line(f"    {by if full else human.shortened(by, WIDEST)}")
