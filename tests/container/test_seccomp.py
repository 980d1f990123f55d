"""Filters in real processes, under the launcher: what is refused, what is played."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lamina_runtime.container.seccomp import default, emulation, tables

from tests.container import box

pytestmark = [pytest.mark.userns, pytest.mark.timeout(60)]
PYTHON = "/usr/bin/python3"
CALLS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    rc = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in args))
    return "ok" if rc >= 0 else os.strerror(ctypes.get_errno())
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return box.make_root(tmp_path_factory.mktemp("root") / "root")


def filtered(root: Path, script: str, rules: dict[str, Any] | None) -> box.Result:
    """Run Python code with the host's Python (bound read-only) under a filter."""
    config = box.spec(root, PYTHON, "-I", "-c", CALLS + script)
    for path in ("/usr", "/lib", "/lib64"):
        if os.path.exists(path):
            config["mounts"].append({"destination": path, "source": path, "options": ["rbind", "ro"]})
    if rules:
        config["linux"]["seccomp"] = rules
    return box.run(config)


def native() -> tuple[tables.Architecture, ...]:
    return tables.group(os.uname().machine)


def number(name: str) -> int:
    return tables.calls(native()[0].name)[name]


def ours(*capabilities: str) -> dict[str, Any]:
    return default.rules(set(capabilities), native())


def test_the_default_refuses_and_lets_programs_live(root: Path) -> None:
    script = f"""
import socket, subprocess, threading
print(call({number("keyctl")}, 0, -3, 1), call({number("unshare")}, 0x10000000),
    call({number("io_uring_setup")}, 1, 0), call({number("mount")}, 0, 0, 0, 0, 0), sep="|")
print(call({number("ioctl")}, 0, 0x5412, 0), call({number("ioctl")}, 0, 0x5412 | 1 << 32, 0), sep="|")
print(call({number("socket")}, 40, 1, 0), call({number("socket")}, 40 | 1 << 32, 1, 0), sep="|")
print(call({number("clone3")}, 0, 0), call(0x40000000 + 250), call(9999), sep="|")
thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
print(subprocess.run(["/bin/echo", "child"], capture_output=True, text=True).stdout.strip())
socket.socket().close()
"""
    result = filtered(root, script, ours())
    no = "Operation not permitted"
    assert result.out.splitlines() == [
        f"{no}|{no}|{no}|{no}",
        f"{no}|{no}",
        f"{no}|{no}",
        f"Function not implemented|{no}|{no}",
        "thread",
        "child",
    ], result.err


def test_without_a_filter_the_same_calls_pass(root: Path) -> None:
    """Otherwise the test above would show the kernel's refusals, not the filter's."""
    script = f"""
print(call({number("keyctl")}, 0, -3, 1), call({number("unshare")}, 0x10000000),
    call({number("ioctl")}, 0, 0x5412, 0))
"""
    words = filtered(root, script, None).out
    assert words.startswith("ok ok ")
    assert "not permitted" not in words


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a program of 32 bits beside one of 64")
def test_programs_of_the_other_architecture_are_filtered(root: Path, tmp_path: Path) -> None:
    """keyctl(2) by int 0x80, the entry of i386, from a program that was built for nothing else."""
    code = bytes.fromhex("b8 20010000 31db 31c9 31d2 cd80 89c3 f7db b801000000 cd80".replace(" ", ""))
    program = _elf32(code)
    path = root / "bin/small"
    path.write_bytes(program)
    path.chmod(0o755)
    unfiltered = box.run(box.spec(root, "/bin/small"))
    if unfiltered.status == 126:
        pytest.skip("this kernel runs no programs of i386")
    config = box.spec(root, "/bin/small")
    config["linux"]["seccomp"] = ours()
    assert box.run(config).status == 1  # EPERM
    assert unfiltered.status != 1


def _elf32(code: bytes) -> bytes:
    import struct

    base, head = 0x08048000, 52 + 32
    header = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + head, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    size = head + len(code)
    return header + struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 0x1000) + code


def test_root_is_played_where_there_is_one_id(root: Path) -> None:
    script = """
os.chdir("/tmp")
open("f", "w").close()
os.chown("f", 33, 44); os.chown("f", 5, 5, follow_symlinks=False)
os.fchown(os.open("f", os.O_RDONLY), 7, 7)
os.setgroups([1, 2, 3]); os.setgid(42); os.setuid(42); os.setresuid(1, 2, 3)
os.mknod("device", 0o020666, os.makedev(1, 3)); print(os.path.exists("device"))
os.mkfifo("fifo"); os.mknod("plain", 0o100600); print(sorted(os.listdir(".")))
print(os.getuid(), os.stat("f").st_uid)
"""
    (root / "tmp").mkdir(exist_ok=True)
    result = filtered(root, script, emulation.alone(ours(), native()))
    assert result.out.splitlines() == ["False", "['f', 'fifo', 'plain']", "0 0"], result.err
    refused = filtered(root, "os.chown('/tmp/f', 33, 44)", ours())
    assert "Invalid argument" in refused.err


def test_a_user_who_has_no_id_is_root(root: Path) -> None:
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nwww:x:33:33::/srv:/bin/sh\n")
    config = box.spec(root, "sh", "-c", "id -u; echo $HOME", env=["PATH=/bin"])
    config["annotations"] = {"io.lamina.user": "www"}
    result = box.run(config)
    assert result.out.split() == ["0", "/srv"], result.report


def test_a_damaged_filter_does_not_run_anything(root: Path) -> None:
    from lamina_runtime.container import plan
    from lamina_runtime.container.records import Op, Record

    rows = [*plan.container(box.spec(root, "true")), Record(Op.SECCOMP, b"\0" * 12), Record(Op.STDIO)]
    assert box.Running(rows).end().report.startswith("refused 125 system call filter: ")
