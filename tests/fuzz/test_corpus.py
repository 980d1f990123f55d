"""The fuzzers' kept inputs, and random damage to them: taken or refused, never anything else.

`make fuzz` looks for more.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, tried

CORPUS = Path(__file__).parent / "corpus"
WORDS = [b"null", b"[]", b"{}", b"-1", b'"\\ud800"', b"1e999", b"\0"]
ROUNDS = 600  # damaged inputs a target


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_stays_mended(name: str) -> None:
    taken = [tried(name, path.read_bytes()) for path in sorted((CORPUS / name).iterdir())]
    assert any(taken), "the corpus has none that is good"


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs(name: str) -> None:
    chance = random.Random(4)
    kept = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    for _ in range(ROUNDS):
        data = bytearray(chance.choice(kept))
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(4):
                case 0:
                    data[at : at + 1] = bytes((chance.randrange(256),))
                case 1:
                    del data[at : at + chance.randrange(1, 64)]
                case 2:
                    other = chance.choice(kept)
                    start = chance.randrange(len(other) + 1)
                    data[at:at] = other[start : start + 64]
                case _:
                    data[at : at + 8] = chance.choice(
                        [b"null", b"[]", b"{}", b"-1", b'"\\ud800"', b"1e999", b"\0"]
                    )
        tried(name, bytes(data))
