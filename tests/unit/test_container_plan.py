"""From config.json to records: what is refused, and what becomes of options."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_runtime.container import capabilities, plan, records
from lamina_runtime.container.records import NAMES, Op, Record
from lamina_runtime.errors import UsageError


def config(**parts: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "root": {"path": "/r"},
        "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
    }
    return base | parts


def of(op: int, **parts: Any) -> list[Record]:
    devices = {f"/dev/{name}".encode() for name in plan.DEVICES}
    rows = (record for record in plan.container(config(**parts)) if record.op is op)
    return [record for record in rows if record.arguments[0] not in devices]


def test_namespaces_are_one_set_of_flags() -> None:
    assert of(Op.NAMESPACES) == [Record(Op.NAMESPACES, "0x20020000")]


def test_bind_mounts_keep_flags_recursion_and_propagation() -> None:
    mount = {"destination": "/d", "source": "/s", "options": ["rbind", "ro", "nosuid", "rslave"]}
    assert of(Op.BIND, mounts=[mount]) == [Record(Op.BIND, "/s", "/d", "0x3", "rec", 1 << 19, "")]


def test_read_only_is_no_propagation() -> None:
    mount = {"destination": "/d", "source": "/s", "options": ["bind", "ro"]}
    assert of(Op.BIND, mounts=[mount]) == [Record(Op.BIND, "/s", "/d", "0x1", "", 0, "")]


def test_options_of_a_new_file_system_go_to_it() -> None:
    mount = {"destination": "/d", "type": "tmpfs", "options": ["nodev", "rw", "size=1k", "mode=700"]}
    assert of(Op.MOUNT, mounts=[mount]) == [
        Record(Op.MOUNT, "tmpfs", "tmpfs", "/d", "0x4", "size=1k,mode=700")
    ]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"mounts": [{"destination": "/d", "source": "/s", "options": ["bind", "sise=1"]}]}, "sise=1"),
        ({"linux": {"namespaces": [{"type": "network", "path": "/run/netns/x"}]}}, "/run/netns/x"),
        ({"linux": {"namespaces": [{"type": "pid", "path": "/proc/1/ns/pid"}]}}, "/proc/1/ns/pid"),
        ({"linux": {"sysctl": {"kernel..shm": "1"}}}, "kernel..shm"),
        ({"linux": {"sysctl": {"../../etc.passwd": "1"}}}, "etc.passwd"),
        ({"root": {"path": "/r", "readonly": True}, "linux": {}}, "read-only root"),
    ],
)
def test_what_cannot_be_done_is_refused(parts: dict[str, Any], text: str) -> None:
    with pytest.raises(plan.PlanError, match=text.replace(".", r"\.")):
        list(plan.container(config(**parts)))


def test_unknown_limits_are_refused() -> None:
    spec = config()["process"] | {"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}
    with pytest.raises(plan.PlanError, match="RLIMIT_X"):
        list(plan.process(spec, linux={}))


def test_capability_sets() -> None:
    assert capabilities.mask(["CAP_CHOWN", "kill"]) == 0b100001
    assert capabilities.chosen(add=["ALL"], drop=["SYS_ADMIN"]) == set(capabilities.NAMES) - {"SYS_ADMIN"}
    assert capabilities.chosen(add=["NET_ADMIN"], drop=["all"]) == {"NET_ADMIN"}
    assert capabilities.chosen(add=[], drop=["cap_chown"]) == capabilities.DEFAULT - {"CHOWN"}
    with pytest.raises(UsageError, match="NOSUCH"):
        capabilities.chosen(add=["NOSUCH"], drop=[])


WORDS = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=50)


@given(st.lists(st.tuples(st.sampled_from(sorted(NAMES)), st.lists(WORDS, max_size=8)), max_size=20))
def test_encoding_reads_back(rows: list[tuple[int, list[str]]]) -> None:
    data = records.encode(Record(op, *words) for op, words in rows)
    assert data.startswith(b"LAMPLAN1")
    at, back = 8, []
    while at < len(data):
        op, count = struct.unpack_from("=HH", data, at)
        at += 4
        words = []
        for _ in range(count):
            (length,) = struct.unpack_from("=I", data, at)
            words.append(data[at + 4 : at + 4 + length].decode())
            assert data[at + 4 + length] == 0
            at += 5 + length
        back.append((op, words))
    assert back == rows


def test_a_nul_is_refused_where_it_would_cut_a_word() -> None:
    with pytest.raises(ValueError, match="NUL"):
        Record(Op.ENV, "A=\0B")
    assert Record(Op.SECCOMP, b"\0\1").arguments == (b"\0\1",)


def test_user_and_network_of_another_process_are_entered_together() -> None:
    spaces = [
        {"type": "user", "path": "/proc/7/ns/user"},
        {"type": "mount"},
        {"type": "network", "path": "/proc/7/ns/net"},
    ]
    maps = [{"containerID": 0, "hostID": 1000, "size": 1}]
    rows = list(plan.container(config(linux={"namespaces": spaces, "uidMappings": maps})))
    assert rows[:3] == [
        Record(Op.WHOLE, hex(0x50020000)),
        Record(Op.JOIN, 7, hex(0x50000000)),
        Record(Op.NAMESPACES, hex(0x20000)),
    ]
    assert Op.UIDMAP not in [row.op for row in rows]
