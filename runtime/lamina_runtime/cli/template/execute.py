"""Nodes and data to text.

Variables live in a list of scopes, one a block.  Output is bounded, so that a range over a
range of a large value ends with a message and not with the machine's memory.
"""

from __future__ import annotations

from lamina_runtime.cli.template.errors import TemplateError
from lamina_runtime.cli.template.functions import FUNCTIONS, HEADINGS
from lamina_runtime.cli.template.parser import parse
from lamina_runtime.cli.template.values import NO_VALUE, Fields, is_true, text_of, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from lamina_runtime.cli.template.parser import Node, Pipe

MOST_OUTPUT = 64 << 20
_NOTHING = object()  # "no value came down the pipeline", which nil is not


class _Break(Exception):
    """A {{break}} on its way out."""


class _Continue(Exception):
    """A {{continue}} on its way out."""


class Template:
    """A parsed template; render() may be called for each of many rows."""

    def __init__(self, text: str) -> None:
        self._nodes = parse(text)

    def render(self, data: object) -> str:
        """Return what the template makes of the data; raise TemplateError if they do not fit."""
        run = _Run(data, headings=False)
        run.nodes(self._nodes, data)
        return "".join(run.out)

    def heading(self, names: Fields) -> str:
        """Render the head of a table: docker's functions leave the column names alone there."""
        run = _Run(names, headings=True)
        run.nodes(self._nodes, names)
        return "".join(run.out)


class _Run:
    def __init__(self, data: object, *, headings: bool) -> None:
        self.out: list[str] = []
        self._length = 0
        self._scopes: list[dict[str, object]] = [{"$": data}]
        self._headings = headings

    def nodes(self, nodes: list[Node], dot: object) -> None:
        """Carry out nodes in a scope of their own."""
        self._scopes.append({})
        try:
            for node in nodes:
                self._node(node, dot)
        finally:
            self._scopes.pop()

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > MOST_OUTPUT:
            raise TemplateError("the output is too long")
        self.out.append(text)

    def _node(self, node: Node, dot: object) -> None:
        kind = node[0]
        if kind == "text":
            self._write(node[1])
        elif kind == "print":
            value = self._pipe(node[1], dot)
            if not node[1][0]:  # an assignment prints nothing
                self._write("<no value>" if value is None else text_of(value))
        elif kind == "break":
            raise _Break
        elif kind == "continue":
            raise _Continue
        else:
            self._scopes.append({})
            try:
                self._block(node, dot)
            finally:
                self._scopes.pop()

    def _block(self, node: Node, dot: object) -> None:
        kind, pipe, inside, otherwise = node
        if kind == "range":
            self._range(pipe, inside, otherwise, dot)
            return
        value = self._pipe(pipe, dot)
        if is_true(value):
            self.nodes(inside, value if kind == "with" else dot)
        else:
            self.nodes(otherwise, dot)

    def _range(self, pipe: Pipe, inside: list[Node], otherwise: list[Node], dot: object) -> None:
        names, declares, commands = pipe
        value = self._pipe(([], False, commands), dot)
        empty = True
        for key, element in _pairs(value):
            empty = False
            self._scopes.append({})
            values = (element,) if len(names) == 1 else (key, element)
            for name, one in zip(names, values, strict=False):
                self._assign(name, one, declares=declares)
            try:
                self.nodes(inside, element)
            except _Break:
                break
            except _Continue:
                continue
            finally:
                self._scopes.pop()
        if empty:
            self.nodes(otherwise, dot)

    def _assign(self, name: str, value: object, *, declares: bool) -> None:
        if not declares:
            for scope in reversed(self._scopes):
                if name in scope:
                    scope[name] = value
                    return
        self._scopes[-1][name] = value

    def _pipe(self, pipe: Pipe, dot: object) -> object:
        names, declares, commands = pipe
        value: object = _NOTHING
        for command in commands:
            value = self._command(command, dot, value)
        for name in names:
            self._assign(name, value, declares=declares)
        return value

    def _command(self, command: list[Node], dot: object, last: object) -> object:
        first = command[0]
        if first[0] == "call":
            return self._call(first[1], command[1:], dot, last)
        if len(command) > 1 or last is not _NOTHING:
            if first[0] == "chain":
                raise TemplateError(f"{first[2][-1]} has arguments but cannot be invoked as function")
            raise TemplateError(f"can't give argument to non-function {_written(first)}")
        if first[0] == "nil":
            raise TemplateError("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: Node, dot: object) -> object:
        kind = operand[0]
        if kind == "literal":
            return operand[1]
        if kind == "dot":
            return dot
        if kind == "nil":
            return None
        if kind == "variable":
            return next(scope[operand[1]] for scope in reversed(self._scopes) if operand[1] in scope)
        if kind == "pipe":
            return self._pipe(operand[1], dot)
        if kind == "call":
            return self._call(operand[1], [], dot, _NOTHING)
        value = self._operand(operand[1], dot)
        for name in operand[2]:
            value = _field(value, name)
        return value

    def _call(self, name: str, operands: list[Node], dot: object, last: object) -> object:
        function, least, most = FUNCTIONS[name]
        given = len(operands) + (last is not _NOTHING)
        if not least <= given <= most:
            wanted = f"want {least}" if least == most else f"want at least {least}"
            raise TemplateError(f"wrong number of args for {name}: {wanted} got {given}")
        if name in ("and", "or"):
            return self._lazily(operands, dot, last, stop=name == "or")
        values = [self._operand(operand, dot) for operand in operands]
        if last is not _NOTHING:
            values.append(last)
        if self._headings and name in HEADINGS:
            function = HEADINGS[name]
        return function(*values)

    def _lazily(self, operands: list[Node], dot: object, last: object, *, stop: bool) -> object:
        value: object = None
        for operand in operands:
            value = self._operand(operand, dot)
            if is_true(value) is stop:
                return value
        return value if last is _NOTHING else last


def _field(value: object, name: str) -> object:
    if isinstance(value, Fields):
        if name not in value:
            raise TemplateError(f"can't evaluate field {name}")
        return value[name]
    if isinstance(value, dict):
        return value.get(name, NO_VALUE)
    if value is None or value is NO_VALUE:
        raise TemplateError(f"nil pointer evaluating interface {{}}.{name}")
    raise TemplateError(f"can't evaluate field {name} in type {type_name(value)}")


def _pairs(value: object) -> Iterator[tuple[Any, Any]]:
    """Yield what a range goes over: lists in order, maps by key, a number's predecessors; nil is empty."""
    if isinstance(value, list | tuple):
        yield from enumerate(value)
    elif isinstance(value, dict) and not isinstance(value, Fields):
        for key in sorted(value):
            yield key, value[key]
    elif isinstance(value, int) and not isinstance(value, bool):
        for number in range(value):
            yield number, number
    elif value is not None and value is not NO_VALUE:
        raise TemplateError(f"range can't iterate over {text_of(value)}")


def _written(operand: Node) -> str:
    return str(operand[2]) if operand[0] == "literal" else {"dot": ".", "nil": "nil"}.get(operand[0], "value")
