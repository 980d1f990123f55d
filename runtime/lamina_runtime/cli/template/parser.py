"""Tokens to nodes.

A template is a list of nodes; a node is a tuple whose first element says its kind:

    ("text", str)                               ("print", pipe)
    ("if" | "with", pipe, nodes, nodes)         ("range", pipe, nodes, nodes)
    ("break",)  ("continue",)
    pipe     = ([variable names], is a declaration, [command])
    command  = [operand, ...]
    operand  = ("literal", value, text) | ("nil",) | ("dot",) | ("call", name)
             | ("chain", operand, [field, ...])  | ("variable", name) | ("pipe", pipe)
"""

from __future__ import annotations

from lamina_runtime.cli.template.errors import TemplateError
from lamina_runtime.cli.template.functions import FUNCTIONS
from lamina_runtime.cli.template.lexer import (
    CLOSE,
    DOT,
    END,
    FIELD,
    NAME,
    NUMBER,
    OPEN,
    PUNCTUATION,
    STRING,
    TEXT,
    VARIABLE,
    Token,
    tokens,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Node = tuple[Any, ...]
    Pipe = tuple[list[str], bool, list[list[Node]]]

DEEPEST = 100  # nested blocks and parentheses; a person's templates have three
BLOCKS = ("if", "with", "range")
REFUSED = ("define", "template", "block")


def parse(template: str) -> list[Node]:
    """Return a template's nodes; raise TemplateError where it is wrong."""
    parser = _Parser(tokens(template))
    nodes, ended = parser.nodes(loop=False)
    if ended != "":
        raise TemplateError(f"unexpected {{{{{ended}}}}}")
    return nodes


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0
        self._variables = ["$"]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != END
        return token

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateError("nested too deeply")

    def nodes(self, *, loop: bool) -> tuple[list[Node], str]:
        """Read nodes up to {{end}}, {{else}} or the end of the template; return which one it was."""
        found: list[Node] = []
        while True:
            token = self._next()
            if token.kind == END:
                return found, ""
            if token.kind == TEXT:
                found.append(("text", token.text))
                continue
            assert token.kind == OPEN
            word = self._peek().text if self._peek().kind == NAME else ""
            if word in ("end", "else"):
                self._next()
                return found, word
            found.append(self._action(word, loop=loop))

    def _action(self, word: str, *, loop: bool) -> Node:
        if word in REFUSED:
            raise TemplateError(f"{{{{{word}}}}} is not supported")
        if word in ("break", "continue"):
            if not loop:
                raise TemplateError(f"{{{{{word}}}}} outside {{{{range}}}}")
            self._next()
            self._close()
            return (word,)
        if word in BLOCKS:
            self._next()
            return self._block(word, loop=loop)
        pipe = self._pipe("command")
        self._close()
        return ("print", pipe)

    def _block(self, word: str, *, loop: bool) -> Node:
        """Read a block from behind its word; {{else if}} is a block in the else of the first."""
        self._deeper()
        known = len(self._variables)
        pipe = self._pipe(word, ranging=word == "range")
        self._close()
        inside, ended = self.nodes(loop=loop or word == "range")
        otherwise: list[Node] = []
        if ended == "else":
            following = self._peek().text if self._peek().kind == NAME else ""
            if following in ("if", "with") and word != "range":
                self._next()
                otherwise = [self._block(following, loop=loop)]
                del self._variables[known:]
                self._depth -= 1
                return (word, pipe, inside, otherwise)
            self._close()
            otherwise, ended = self.nodes(loop=loop)
        if ended != "end":
            raise TemplateError("unexpected EOF" if ended == "" else f"unexpected {{{{{ended}}}}}")
        self._close()
        del self._variables[known:]
        self._depth -= 1
        return (word, pipe, inside, otherwise)

    def _close(self) -> None:
        token = self._next()
        if token.kind != CLOSE:
            raise TemplateError(f"unexpected {token.text!r} in an action")

    def _pipe(self, context: str, *, ranging: bool = False) -> Pipe:
        names, declares = self._declarations(ranging=ranging)
        commands: list[list[Node]] = []
        while True:
            command = self._command()
            if not command:
                raise TemplateError(f"missing value for {context}")
            if commands and command[0][0] in ("literal", "nil", "dot"):
                raise TemplateError(f"non executable command in pipeline stage {len(commands) + 1}")
            commands.append(command)
            if not (self._peek().kind == PUNCTUATION and self._peek().text == "|"):
                break
            self._next()
        self._variables += names if declares else []
        return names, declares, commands

    def _declarations(self, *, ranging: bool) -> tuple[list[str], bool]:
        """Read `$a :=`, `$a =` and, in a range, `$a, $b :=` if they stand here."""
        ahead = self._tokens[self._at : self._at + 4]
        words = [token.text for token in ahead]
        kinds = [token.kind for token in ahead]
        if kinds[:1] == [VARIABLE] and words[1:2] in ([":="], ["="]):
            names, count = words[:1], 2
        elif (
            ranging
            and kinds[:3:2] == [VARIABLE, VARIABLE]
            and words[1] == ","
            and words[3:] in ([":="], ["="])
        ):
            names, count = words[:3:2], 4
        else:
            return [], False
        declares = words[count - 1] == ":="
        for name in [] if declares else names:
            self._known(name)
        self._at += count
        return names, declares

    def _known(self, name: str) -> None:
        if name not in self._variables:
            raise TemplateError(f"undefined variable {name!r}")

    def _command(self) -> list[Node]:
        operands: list[Node] = []
        while True:
            operand = self._operand()
            if operand is None:
                return operands
            operands.append(operand)

    def _operand(self) -> Node | None:
        token = self._peek()
        term = self._term(token)
        if term is None:
            return None
        fields = []
        while self._peek().kind == FIELD and not self._peek().spaced:
            fields.append(self._next().value)
        if not fields:
            return term
        if term[0] in ("literal", "nil", "dot"):
            raise TemplateError(f"unexpected . after term {token.text!r}")
        return ("chain", term, fields) if term[0] != "chain" else ("chain", term[1], term[2] + fields)

    def _term(self, token: Token) -> Node | None:
        if token.kind in (STRING, NUMBER):
            self._next()
            return ("literal", token.value, token.text)
        if token.kind == NAME:
            self._next()
            if token.text in ("true", "false"):
                return ("literal", token.text == "true", token.text)
            if token.text == "nil":
                return ("nil",)
            if token.text not in FUNCTIONS:
                raise TemplateError(f'function "{token.text}" not defined')
            return ("call", token.text)
        if token.kind == DOT:
            self._next()
            return ("dot",)
        if token.kind == FIELD:
            self._next()
            return ("chain", ("dot",), [token.value])
        if token.kind == VARIABLE:
            self._next()
            self._known(token.text)
            return ("variable", token.text)
        if token.kind == PUNCTUATION and token.text == "(":
            self._next()
            self._deeper()
            pipe = self._pipe("parenthesized pipeline")
            closing = self._next()
            if closing.text != ")" or closing.kind != PUNCTUATION:
                raise TemplateError("unclosed left paren")
            self._depth -= 1
            return ("pipe", pipe)
        return None
