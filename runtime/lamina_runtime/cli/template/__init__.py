"""Go templates, as far as `--format` needs them: what docker's users have in their scripts.

`render(text, data)` is the front door.  Here: text, trimming, comments, fields, variables,
pipelines, if/else, range, with, break, continue, literals, Go's builtin functions and docker's.
Not here: define, template and block, which no format of one line uses; methods with arguments.

    lexer       text to tokens
    parser      tokens to nodes
    execute     nodes and data to text
    functions   what may be called
    values      truth, comparison, and how Go prints a value; printf is in `formatting`
"""

from lamina_runtime.cli.template.errors import TemplateError
from lamina_runtime.cli.template.execute import Template
from lamina_runtime.cli.template.values import Fields

__all__ = ["Fields", "Template", "TemplateError", "render"]


def render(text: str, data: object) -> str:
    """Parse and carry out a template once; raise TemplateError where either fails."""
    return Template(text).render(data)
