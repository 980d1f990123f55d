"""Print a case as a test that can be pasted, and as a few lines for people."""

import pprint
from pathlib import Path

from tests.differential.rounds import Case
from tests.differential.session import Difference

_TEMPLATE = '''"""Found by the differential soak: {first}."""

from pathlib import Path

import pytest

from tests.differential.rounds import Case, replay

{words}
STACK = {stack}
OPS = {ops}


@pytest.mark.fuse
@pytest.mark.root
@pytest.mark.timeout(60)
def test_{name}(tmp_path: Path) -> None:
    """Both sides must agree."""
    case = Case({oracle!r}, {target!r}, {flavour!r}, {medium!r}, STACK, OPS)
    difference = replay(case, tmp_path / "round")
    assert difference is None, str(difference)
'''


def write(case: Case, difference: Difference, path: Path) -> Path:
    """Write the test file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = str(difference).splitlines()
    text = _TEMPLATE.format(
        first=difference.signature,
        words="\n".join(f"# {line}" for line in lines),
        stack=pprint.pformat(case.stack, width=100, sort_dicts=False),
        ops=pprint.pformat(case.ops, width=100),
        name=path.stem.removeprefix("test_"),
        oracle=case.oracle,
        target=case.target,
        flavour=case.flavour,
        medium=case.medium,
    )
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def brief(case: Case, difference: Difference) -> str:
    """Say it in a few lines."""
    layers = "\n".join(f"  {kind} {pprint.pformat(items, width=150)}" for kind, items in case.stack)
    ops = "\n".join(f"  {op!r}" for op in case.ops)
    return f"layers, bottom first:\n{layers}\noperations:\n{ops}\n{difference}"
