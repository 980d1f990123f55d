"""JSON from strangers is bounded, and refused in one clear line."""

from __future__ import annotations

import json as stdlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_runtime.oci import json
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.json import Object, dump, load
from lamina_runtime.oci.manifest import parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read(value: object) -> None:
    assert load(dump(value), "x") == value
    assert load(stdlib.dumps(value, indent=1).encode(), "x") == value


@given(VALUES)
def test_what_people_see_is_what_the_standard_library_shows(value: object) -> None:
    assert json.pretty(value) == stdlib.dumps(value, indent=4, ensure_ascii=False)


@given(VALUES | st.text())
def test_our_own_holds_any_text(value: object) -> None:
    assert json.load_own(json.dump_own(value), "x") == value


@given(st.binary(max_size=200) | st.text('[]{},:"\\01ae.-ntu', max_size=200).map(str.encode))
def test_any_bytes_are_parsed_as_the_standard_library_does_or_refused(raw: bytes) -> None:
    try:
        value = load(raw, "x")
    except OciError:
        return
    assert value == stdlib.loads(raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested"),
        (b"[" + b"1," * 300_001 + b"1]", "parts"),
        (b'"' + b"a" * json.MAX_SIZE + b'"', "limit"),
        (b'{"digest":1,"digest":2}', "twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"1e999", "bounds"),
        (b"9" * 5000, "digits"),
        (b"0." + b"1" * 5000, "characters"),
        (b'"\xff"', "UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON"),
        ('{"a":1}'.encode("utf-16"), "UTF-8"),
        (b'{"a":1} {}', "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_hostile_documents_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(OciError, match=why) as caught:
        load(raw, "thing")
    assert str(caught.value).startswith("thing: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    assert load(stdlib.dumps(["[{" * 1000, '\\"[['] * 3).encode(), "x") == ["[{" * 1000, '\\"[['] * 3


def test_an_endless_string_with_escapes_takes_linear_time() -> None:
    with pytest.raises(OciError):
        load(b'"' + b'\\"' * 1_000_000, "x")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1),
        ("integer", "1"),
        ("integer", True),
        ("integer", -1),
        ("integer", 1 << 63),
        ("integer", 1.0),
        ("flag", 0),
        ("texts", "ab"),
        ("texts", [1]),
        ("text_map", []),
        ("text_map", {"a": 1}),
        ("inner", []),
        ("keys_of", ["a"]),
        ("text", "\ud800"),
        ("texts", ["\udfff"]),
        ("text_map", {"\ud800": ""}),
        ("texts", [None]),
    ],
)
def test_a_field_of_another_type_is_refused(field: str, value: object) -> None:
    with pytest.raises(OciError):
        getattr(Object({"k": value}, "x"), field)("k")


def test_null_means_absent() -> None:
    found = Object({"k": None}, "x")
    assert (found.text("k"), found.integer("k", 3), found.flag("k"), found.texts("k")) == ("", 3, False, ())
    assert (found.text_map("k"), found.inner("k"), found.keys_of("k")) == ({}, None, ())


@given(VALUES)
def test_no_document_makes_the_readers_fail_otherwise_than_by_refusing(value: object) -> None:
    raw = dump(value)
    for read in (parse, ImageConfig.parse):
        try:
            read(raw)
        except OciError:
            continue
        raise AssertionError("hypothesis found an image by chance")


@pytest.mark.parametrize("text", ['{"a" 1}', '{"a":1,}', '["a', "[1,]", "{1:2}", '"\\x"'])
def test_what_is_no_json_is_refused_before_json_itself_is_loaded(text: str) -> None:
    program = (
        "import sys; from lamina_runtime.oci import errors, json\n"
        "assert 'json.decoder' not in sys.modules\n"
        "try: json.load(sys.argv[1].encode(), 'it')\n"
        "except errors.OciError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, text], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("it: not JSON: "), done.stderr
