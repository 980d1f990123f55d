"""Filters of every machine, run by an interpreter; their rules and profiles."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lamina_runtime.container.seccomp import assembler, default, emulation, profile, tables
from lamina_runtime.container.seccomp.assembler import FilterError

from tests.support import bpf

ALLOW, EPERM, ENOSYS, DONE, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x50000, 0x80000000
PODMAN = Path("/usr/share/containers/seccomp.json")
MACHINES = [machine for machine in tables.MACHINES if machine not in ("i686", "armv8l", "mips64")]


class Filter:
    """A filter of one machine, asked by the names of calls."""

    def __init__(self, rules: dict[str, Any], machine: str = "x86_64") -> None:
        self.native = tables.group(machine)
        self.program = assembler.instructions(rules, self.native)

    def ask(self, call: str, *args: int, on: str = "") -> int:
        row = next(row for row in tables.ARCHITECTURES if row.name == (on or self.native[0].name))
        return bpf.run(self.program, row.audit, tables.calls(row.name)[call], *args, big=row.big)


def ours(machine: str = "x86_64", *capabilities: str) -> Filter:
    return Filter(default.rules(set(capabilities), tables.group(machine)), machine)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_number_of_every_architecture_has_the_outcome_of_its_name(machine: str) -> None:
    native = tables.group(machine)
    rules = default.rules(set(), native)
    allowed = set(rules["syscalls"][0]["names"])
    conditional = {name for row in rules["syscalls"][1:] for name in row["names"]}
    program = assembler.instructions(rules, native)
    for row in native:
        by_number = {number: name for name, number in tables.calls(row.name).items()}
        base = min(by_number)
        for number in range(base, base + 700):
            name = by_number.get(number, "")
            if name not in conditional:
                expected = ALLOW if name in allowed else EPERM
                assert bpf.run(program, row.audit, number, big=row.big) == expected, (row.name, name, number)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_costs_few_instructions(machine: str) -> None:
    chosen = ours(machine)
    row = chosen.native[0]
    worst = max(bpf.steps(chosen.program, row.audit, number) for number in tables.calls(row.name).values())
    assert worst <= 20


@pytest.mark.parametrize("machine", MACHINES)
def test_other_architectures_are_killed(machine: str) -> None:
    chosen = ours(machine)
    audits = {row.audit for row in chosen.native}
    for row in tables.ARCHITECTURES:
        if row.audit not in audits:
            assert bpf.run(chosen.program, row.audit, 1) == KILL


@pytest.mark.parametrize("number", [0xFFFFFFFF, 0x3FFFFFFF, 0x7FFFFFFF, 0x40000000 + 999, 5000])
def test_numbers_in_no_table_are_refused(number: int) -> None:
    assert bpf.run(ours().program, 0xC000003E, number) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("upper", [0, 1 << 32, 0xFFFFFFFF << 32])
def test_terminals_are_not_typed_into_whatever_the_upper_half_says(machine: str, upper: int) -> None:
    chosen = ours(machine)
    tiocsti = 0x5472 if machine.startswith("mips") else 0x5412
    for row in chosen.native:
        assert chosen.ask("ioctl", 0, tiocsti | upper, on=row.name) == EPERM
        assert chosen.ask("ioctl", 0, 0x5401, on=row.name) == ALLOW


@pytest.mark.parametrize("upper", [0, 1 << 32])
def test_sockets_to_the_hypervisor(upper: int) -> None:
    assert ours().ask("socket", 40 | upper, 1, 0) == EPERM
    assert ours().ask("socket", 2 | upper, 1, 0) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_namespaces_need_the_capability(machine: str) -> None:
    flags = (0, 0x10000000) if machine == "s390x" else (0x10000000, 0)
    plain = (0, 0x11) if machine == "s390x" else (0x11, 0)
    without, privileged = ours(machine), ours(machine, "SYS_ADMIN")
    assert (without.ask("clone", *flags), privileged.ask("clone", *flags)) == (EPERM, ALLOW)
    assert (without.ask("clone", *plain), without.ask("clone3")) == (ALLOW, ENOSYS)
    assert (without.ask("unshare"), privileged.ask("unshare")) == (EPERM, ALLOW)
    assert (without.ask("mount"), privileged.ask("mount")) == (EPERM, ALLOW)


def test_personalities() -> None:
    asked = {
        value: ours().ask("personality", value) for value in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000)
    }
    assert [value for value, outcome in asked.items() if outcome == EPERM] == [0x40000]


@pytest.mark.parametrize(
    ("capability", "call"),
    [("SYS_CHROOT", "chroot"), ("SYS_BOOT", "reboot"), ("SYS_TIME", "settimeofday"), ("BPF", "bpf")],
)
def test_capabilities_bring_their_calls(capability: str, call: str) -> None:
    assert (ours().ask(call), ours("x86_64", capability).ask(call)) == (EPERM, ALLOW)


@pytest.mark.parametrize(
    "call", ["keyctl", "add_key", "request_key", "kexec_load", "io_uring_setup", "userfaultfd"]
)
def test_never_whatever_the_capabilities(call: str) -> None:
    from lamina_runtime.container.capabilities import NAMES

    assert ours("x86_64", *NAMES).ask(call) == EPERM


# what podman refuses and we allow; each line is a decision
MORE_THAN_PODMAN = {
    # newer than podman 4.3's file, and without privilege
    "cachestat", "fchmodat2", "map_shadow_stack", "mseal", "futex_requeue", "futex_wait", "futex_wake",
    "futex_waitv", "getxattrat", "listxattrat", "lsm_get_self_attr", "lsm_list_modules", "removexattrat",
    "setxattrat", "file_getattr", "file_setattr",
    # docker allows them
    "io_pgetevents", "io_pgetevents_time64", "vmsplice",
    # of other machines, each with its own use
    "arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "get_tls", "set_tls", "llseek",
    "riscv_flush_icache", "s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr", "swapcontext",
    "sync_file_range2",
}  # fmt: skip


@pytest.mark.skipif(not PODMAN.exists(), reason="podman's profile is not here")
def test_no_more_is_allowed_than_by_podman_but_for_what_is_said_here() -> None:
    native = tables.group("x86_64")
    theirs = profile.resolve(PODMAN.read_bytes(), "podman", capabilities=set(), native=native, release="6.1")
    allowed = {
        name for row in theirs["syscalls"] if row["action"] == "SCMP_ACT_ALLOW" for name in row["names"]
    }
    mine = {name for row in default.rules(set(), native)["syscalls"] for name in row["names"]}
    assert mine - allowed <= MORE_THAN_PODMAN, sorted(mine - allowed - MORE_THAN_PODMAN)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("confined", [True, False])
def test_emulated_root_on_every_architecture(machine: str, *, confined: bool) -> None:
    native = tables.group(machine)
    base = default.rules(set(), native) if confined else None
    chosen = Filter(emulation.alone(base, native), machine)
    for row in native:
        known = tables.calls(row.name)
        for name in emulation.FAKED:
            if name in known:
                assert chosen.ask(name, on=row.name) == DONE, (row.name, name)
        for name, at in (("mknod", 1), ("mknodat", 2)):
            if name in known:
                for mode, outcome in (
                    (0o020666, DONE),
                    (0o060660, DONE),
                    (0o010644, ALLOW),
                    (0o100644, ALLOW),
                ):
                    args = [0] * at + [mode]
                    assert chosen.ask(name, *args, on=row.name) == outcome, (row.name, name, oct(mode))
        assert chosen.ask("keyctl", on=row.name) == (EPERM if confined else ALLOW)


def rule(*args: dict[str, Any], action: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
    return {"names": ["dup3"], "action": action, "args": list(args), **more}


def arg(index: int, op: str, value: int, two: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two}


MEANING: dict[str, Callable[[int, int, int], bool]] = {
    "EQ": lambda a, v, _: a == v, "NE": lambda a, v, _: a != v, "LT": lambda a, v, _: a < v,
    "LE": lambda a, v, _: a <= v, "GT": lambda a, v, _: a > v, "GE": lambda a, v, _: a >= v,
    "MASKED_EQ": lambda a, v, two: a & v == two,
}  # fmt: skip
NUMBERS = st.one_of(
    st.integers(0, 3), st.integers(0, (1 << 64) - 1), st.sampled_from([1 << 32, (1 << 32) - 1, (1 << 32) + 1])
)


@settings(deadline=None)
@given(st.data())
def test_comparisons_mean_what_they_say(data: st.DataObject) -> None:
    machine = data.draw(st.sampled_from(["x86_64", "s390x"]))
    rows = []
    for _ in range(data.draw(st.integers(1, 4))):
        indices = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True))
        ops = st.sampled_from(sorted(MEANING))
        rows.append([arg(index, data.draw(ops), data.draw(NUMBERS), data.draw(NUMBERS)) for index in indices])
    rules = [rule(*args, action="SCMP_ACT_ERRNO", errnoRet=at) for at, args in enumerate(rows)]
    chosen = Filter({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}, machine)
    values = [data.draw(NUMBERS) for _ in range(6)]
    expected = ALLOW
    for at, args in enumerate(rows):
        if all(MEANING[row["op"][9:]](values[row["index"]], row["value"], row["valueTwo"]) for row in args):
            expected = 0x50000 | at
            break
    assert chosen.ask("dup3", *values) == expected


def test_large_filters_have_far_jumps() -> None:
    names = sorted(tables.calls("x86_64"))
    rows = [
        {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": at, "args": [arg(0, "GT", at)]}
        for at, name in enumerate(names)
    ]
    chosen = Filter({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rows})
    for at, name in enumerate(names):
        assert chosen.ask(name, at + 1) == 0x50000 | at
        assert chosen.ask(name, at) == ALLOW


def test_a_filter_that_the_kernel_would_not_take_is_refused() -> None:
    rows = [
        {"names": [name], "action": "SCMP_ACT_TRACE", "args": [arg(0, "GT", at), arg(1, "LT", at)]}
        for at, name in enumerate(sorted(tables.every_name()))
    ]
    with pytest.raises(FilterError, match="instructions"):
        Filter({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rows, "architectures": list(tables.BY_SPEC)})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"defaultAction": 1}', '{"defaultAction": "SCMP_ACT_NOTIFY"}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "SCMP_ACT_NOTIFY"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [1]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "x", "action": "SCMP_ACT_ALLOW"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [1], "action": "SCMP_ACT_ALLOW"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"]}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": -1}',
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO", '
        '"args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}'),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO", '
        '"args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}]}'),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO", '
        '"includes": {"minKernel": "new"}}]}'),
    ],
)  # fmt: skip
def test_profiles_that_are_none(text: str) -> None:
    with pytest.raises(FilterError):
        profile.resolve(
            text.encode(), "p.json", capabilities=(), native=tables.group("x86_64"), release="6.1"
        )


def test_conditions_of_profiles() -> None:
    text = json.dumps(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 38,
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
                {"names": ["write"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "9.1"}},
                {"name": "chroot", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
                {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_CHROOT"]}},
                {"names": ["open"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
                {"names": ["close"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}},
            ],
        }
    )
    made = profile.resolve(
        text.encode(), "p", capabilities={"SYS_CHROOT"}, native=tables.group("x86_64"), release="6.18.44"
    )
    chosen = Filter(made)
    outcomes = {name: chosen.ask(name) for name in ("read", "write", "chroot", "mount", "open", "close")}
    assert [name for name, outcome in outcomes.items() if outcome == ALLOW] == ["read", "chroot", "close"]
    assert outcomes["write"] == 0x50026
    assert chosen.ask("read", on="i386") == ALLOW
    assert chosen.ask("read", on="x32") == 0x50026  # not asked for


LIBSECCOMP = """
import json, sys, seccomp
rules = json.load(sys.stdin)
f = seccomp.SyscallFilter(seccomp.ERRNO(1))
for name in ("X86", "X32"):
    f.add_arch(getattr(seccomp.Arch, name))
ops = {n: getattr(seccomp, n) for n in "EQ NE LT LE GT GE MASKED_EQ".split()}
for row in rules:
    action = seccomp.ALLOW if row["action"] == "SCMP_ACT_ALLOW" else seccomp.ERRNO(row["errnoRet"])
    for name in row["names"]:
        args = [
            seccomp.Arg(a["index"], ops[a["op"][9:]], a["value"], a.get("valueTwo", 0))
            if a["op"] == "SCMP_CMP_MASKED_EQ" else seccomp.Arg(a["index"], ops[a["op"][9:]], a["value"])
            for a in row.get("args", ())
        ]
        try:
            f.add_rule(action, name, *args)
        except (RuntimeError, ValueError):
            pass  # a call that this libseccomp does not know
f.export_bpf(sys.stdout)
"""


def test_libseccomp_makes_the_same_of_it() -> None:
    """For every number it knows; it compares all bits of an int, so only small arguments are asked."""
    import struct

    native = tables.group("x86_64")
    rules = emulation.alone(default.rules({"SYS_CHROOT"}, native), native)
    done = subprocess.run(
        ["/usr/bin/python3", "-c", LIBSECCOMP],
        input=json.dumps(rules["syscalls"]).encode(), capture_output=True, check=False,
    )  # fmt: skip
    if b"No module named 'seccomp'" in done.stderr:
        pytest.skip("python3-seccomp is not here")
    assert done.returncode == 0, done.stderr
    theirs = list(struct.iter_unpack("=HBBI", done.stdout))
    mine = assembler.instructions(rules, native)
    compared = 0
    for row in native:
        for name, number in tables.calls(row.name).items():
            for value in (0, 1, 40, 0x5412, 0x10000000, 0o020666, 0o010666):
                answers = [bpf.run(code, row.audit, number, value, value, value) for code in (mine, theirs)]
                if answers[0] != answers[1]:
                    # what is newer than that libseccomp
                    assert answers == [ALLOW, EPERM], (row.name, name, value)
                    assert name in NEWER_THAN_LIBSECCOMP, (row.name, name)
                compared += 1
    assert compared > 7000


NEWER_THAN_LIBSECCOMP = MORE_THAN_PODMAN | {"memfd_secret", "set_mempolicy_home_node"}


@pytest.mark.skipif(sys.platform != "linux", reason="headers of Linux")
def test_tables_are_what_the_headers_say() -> None:
    import importlib.util

    script = Path(__file__).parents[2] / "runtime/tools/syscalls.py"
    spec = importlib.util.spec_from_file_location("syscalls", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    missing = module.headers_missing()
    if missing:
        pytest.skip(f"kernel headers are not here: {missing[0]}")
    assert module.table() == (script.parent.parent / "lamina_runtime/container/seccomp/calls.txt").read_text()
