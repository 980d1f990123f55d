"""core.cdef.h repeats the headers: same prototypes, same layouts, same stubs."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "native"
CDEF = NATIVE / "core.cdef.h"
HEADERS = [
    NATIVE / "include" / "lamina" / f"{name}.h" for name in ("types", "error", "core", "server", "mount")
]
NOT_FOR_PYTHON = {"lam_readdir", "lam_data_get", "lam_data_put", "lam_data_read"}

PROTOTYPE = re.compile(r"^[a-z_0-9]+ \**(lam_\w+)\(([^;{]*)\);", re.MULTILINE)
STRUCT = re.compile(r"^struct (lam_\w+) \{(.*?)\n\};", re.MULTILINE | re.DOTALL)


def declarations(*paths: Path) -> str:
    text = "\n".join(path.read_text() for path in paths)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def prototypes(text: str) -> dict[str, str]:
    return {match[1]: " ".join(match[0].split()) for match in PROTOTYPE.finditer(text)}


def structs(text: str) -> dict[str, list[str]]:
    found = {}
    for match in STRUCT.finditer(text):
        members = (" ".join(member.split()).replace("* ", "*") for member in match[2].split(";"))
        found[match[1]] = [member for member in members if member]
    return found


def test_every_function_for_python_is_declared_alike() -> None:
    headers = prototypes(declarations(*HEADERS))
    for name in NOT_FOR_PYTHON:
        del headers[name]
    assert prototypes(declarations(CDEF)) == headers


def test_every_structure_has_the_same_members() -> None:
    headers = structs(declarations(*HEADERS))
    repeated = structs(declarations(CDEF))
    assert repeated == {name: headers[name] for name in repeated}


def test_constants_exist() -> None:
    defined = set(re.findall(r"#define (LAM_\w+)", declarations(*HEADERS)))
    named = set(re.findall(r"#define (LAM_\w+)", declarations(CDEF)))
    assert named <= defined


@pytest.mark.parametrize("first", ["headers", "cdef"])
def test_prototypes_compile_before_and_after_the_headers(first: str, tmp_path: Path) -> None:
    includes = "\n".join(f'#include "{path}"' for path in HEADERS)
    lines = "\n".join(prototypes(declarations(CDEF)).values())
    system = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <sys/types.h>\n"
    forward = "".join(f"struct {name};\n" for name in ("lam_core", "lam_server", "statvfs"))
    forward += "".join(f"struct {name};\n" for name in structs(declarations(CDEF)))
    parts = [includes, lines] if first == "headers" else [forward + lines, includes]
    source = tmp_path / "both.c"
    source.write_text(system + "\n".join(parts) + "\n")
    command = ["gcc", "-std=gnu11", "-fsyntax-only", "-Werror", f"-I{NATIVE}/include", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr


def test_the_stub_has_the_same_names_and_arities() -> None:
    tree = ast.parse((NATIVE / "lamina_native" / "_core.pyi").read_text())
    lib = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "_Lib")
    functions = {
        node.name: [argument.arg for argument in node.args.args[1:]]
        for node in lib.body
        if isinstance(node, ast.FunctionDef)
    }
    constants = {
        node.target.id
        for node in lib.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    text = declarations(CDEF)
    expected = {
        match[1]: [re.findall(r"\w+", argument)[-1] for argument in match[2].split(",")]
        for match in PROTOTYPE.finditer(text)
    }
    assert functions == expected
    enumerated = {
        name
        for body in re.findall(r"^enum \w+ \{(.*?)\};", text, re.MULTILINE | re.DOTALL)
        for name in re.findall(r"LAM_\w+", body)
    }
    assert constants == enumerated | set(re.findall(r"#define (LAM_\w+)", text))
