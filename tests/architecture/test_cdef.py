"""*.cdef.h repeat the headers: same prototypes, same layouts, same stubs."""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "native"
INCLUDE = NATIVE / "include" / "lamina"


@dataclass(frozen=True)
class Module:
    """An extension: its cdef and stub, the headers, and what of them is for C only."""

    name: str
    headers: tuple[Path, ...]
    not_for_python: frozenset[str]
    opaque: tuple[str, ...]

    @property
    def cdef(self) -> Path:
        return NATIVE / f"{self.name}.cdef.h"

    @property
    def stub(self) -> Path:
        return NATIVE / "lamina_native" / f"_{self.name}.pyi"


CORE = Module(
    "core",
    tuple(INCLUDE / f"{name}.h" for name in ("types", "error", "core", "server", "mount")),
    frozenset({"lam_readdir", "lam_data_get", "lam_data_put", "lam_data_read", "lam_data_piece"}),
    ("lam_core", "lam_server", "statvfs"),
)
IMAGE = Module(
    "image",
    tuple(INCLUDE / "image" / f"{name}.h" for name in ("tar", "index", "build")),
    frozenset(
        {"lam_index_next", "lam_index_unread", "lam_index_rewind", "lam_index_xattr", "lam_index_extent"}
    ),
    ("lam_tar", "lam_index"),
)

pytestmark = pytest.mark.parametrize("module", [CORE, IMAGE], ids=lambda module: module.name)

PROTOTYPE = re.compile(r"^(?:const )?[a-z_0-9]+ \**(lam_\w+)\(([^;{]*)\);", re.MULTILINE)
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


def test_every_function_for_python_is_declared_alike(module: Module) -> None:
    headers = prototypes(declarations(*module.headers))
    for name in module.not_for_python:
        del headers[name]
    assert prototypes(declarations(module.cdef)) == headers


def test_every_structure_has_the_same_members(module: Module) -> None:
    headers = structs(declarations(*module.headers))
    repeated = structs(declarations(module.cdef))
    assert repeated == {name: headers[name] for name in repeated}


def test_constants_exist(module: Module) -> None:
    defined = set(re.findall(r"#define (LAM_\w+)", declarations(*module.headers)))
    named = set(re.findall(r"#define (LAM_\w+)", declarations(module.cdef)))
    assert named <= defined


@pytest.mark.parametrize("first", ["headers", "cdef"])
def test_prototypes_compile_before_and_after_the_headers(module: Module, first: str, tmp_path: Path) -> None:
    includes = "\n".join(f'#include "{path}"' for path in module.headers)
    lines = "\n".join(prototypes(declarations(module.cdef)).values())
    system = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <sys/types.h>\n"
    forward = "".join(f"struct {name};\n" for name in module.opaque)
    forward += "".join(f"struct {name};\n" for name in structs(declarations(module.cdef)))
    parts = [includes, lines] if first == "headers" else [forward + lines, includes]
    source = tmp_path / "both.c"
    source.write_text(system + "\n".join(parts) + "\n")
    command = ["gcc", "-std=gnu11", "-fsyntax-only", "-Werror", f"-I{NATIVE}/include", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr


def test_the_stub_has_the_same_names_and_arities(module: Module) -> None:
    tree = ast.parse(module.stub.read_text())
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
    text = declarations(module.cdef)
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
