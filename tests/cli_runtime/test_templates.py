"""Templates against docker's own engine, and values of any kind."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_runtime.cli import human, table
from lamina_runtime.cli.template import Fields, Template, TemplateError, render
from lamina_runtime.cli.template.lexer import tokens

CASES = Path(__file__).with_name("templates.txt").read_text().splitlines()
NAMES = ("Name", "Nope", "Labels")


@pytest.fixture(scope="module")
def data() -> Fields:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("the docker command is the oracle, and is not here")
    done = subprocess.run(
        [docker, "context", "inspect", "default"], capture_output=True, text=True, check=True
    )
    found = Fields(json.loads(done.stdout)[0])
    for name in ("Storage", "Metadata"):
        found[name] = Fields(found[name])  # type: ignore[call-overload]
    found["Endpoints"] = {"docker": Fields(found["Endpoints"]["docker"])}  # type: ignore[index]
    return found


@pytest.mark.parametrize("text", CASES)
def test_templates_mean_what_they_mean_to_docker(data: Fields, text: str) -> None:
    done = subprocess.run(
        ["docker", "context", "inspect", "-f", text, "default"], capture_output=True, text=True, check=False
    )
    try:
        ours: str | None = render(text, data) + "\n"
    except TemplateError:
        ours = None
    assert ours == (done.stdout if done.returncode == 0 else None), done.stderr


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=9,
)


@given(st.text(max_size=60), VALUES)
def test_no_text_breaks_the_engine(text: str, value: object) -> None:
    try:
        render("{{" + text + "}}", Fields(Name=value))
    except TemplateError as error:
        assert str(error).startswith("template: ")


@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "if ",
                "range ",
                "end",
                "else",
                ".Name",
                " | ",
                "json",
                "(",
                ")",
                "$x",
                " := ",
                '"a"',
                "1 ",
                "-",
                "printf ",
                "index ",
                "with ",
                "break",
                "{{- ",
                " -}}",
            ]
        ),
        max_size=14,
    ),
    VALUES,
)
def test_no_mix_of_words_breaks_the_engine(parts: list[str], value: object) -> None:
    try:
        render("".join(parts), Fields(Name=value))
    except TemplateError as error:
        assert str(error).startswith("template: ")


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_is_itself(text: str) -> None:
    assert render(text, Fields()) == text


@given(VALUES)
def test_json_is_the_value(value: object) -> None:
    assert json.loads(render("{{json .Name}}", Fields(Name=value))) == value


@given(st.text(max_size=20))
def test_quoting_is_read_back(text: str) -> None:
    quoted = render("{{printf `%q` .Name}}", Fields(Name=text))
    assert tokens("{{" + quoted + "}}")[1].value == text


def test_depth_is_bounded() -> None:
    for text in ("{{" + "(" * 5000 + "1", "{{if true}}" * 5000, "{{1" + "|print" * 200 + "}}"):
        try:
            Template(text).render(None)
        except TemplateError:
            continue


def test_output_is_bounded() -> None:
    text = "{{range 100000}}" * 3 + "0123456789" * 10 + "{{end}}" * 3
    with pytest.raises(TemplateError, match="too long"):
        render(text, None)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1024, "1.02kB"),
        (117_000_000, "117MB"),
        (999_950, "1MB"),
        (1 << 62, "4.61EB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert human.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    assert human.duration(seconds) == text


@given(
    st.lists(
        st.lists(
            st.text(
                st.characters(exclude_characters="\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=12
            ),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_columns_stand_below_each_other(rows: list[list[str]]) -> None:
    lines = table.align(["\t".join(row) for row in rows])
    begins = [max(max(len(row[column]) for row in rows) + 3, 10) for column in range(2)]
    for line, row in zip(lines, rows, strict=True):
        assert line == row[0].ljust(begins[0]) + row[1].ljust(begins[1]) + row[2]
