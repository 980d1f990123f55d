"""Tars as we write them: tarfile writes the same bytes, tarfile and tar(1) read them."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_runtime.errors import LaminaError
from lamina_runtime.tar.header import Member, encoded, encoded_link
from lamina_runtime.tar.writer import RECORD, SENT, TarWriter

KINDS = {
    stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE, stat.S_IFIFO: tarfile.FIFOTYPE,
}  # fmt: skip
GIB = 1 << 30
_name = st.binary(min_size=1, max_size=9).filter(lambda raw: not set(raw) & {0, ord("/")})
_path = st.one_of(
    st.lists(_name, min_size=1, max_size=30).map(b"/".join),
    st.integers(97, 103).map(lambda size: b"n" * size),
)
_number = st.one_of(st.integers(0, 70_000), st.sampled_from([8**7 - 1, 8**7, 2**32 - 2]))
_key = st.text(st.characters(exclude_characters="=\0", codec="utf-8"), min_size=1, max_size=9)
_members = st.builds(
    Member,
    path=_path,
    mode=st.builds(int.__or__, st.sampled_from(sorted(KINDS)), st.integers(0, 0o7777)),
    uid=_number,
    gid=_number,
    mtime_ns=st.one_of(st.integers(-(10**12), 10**19), st.integers(-9, 10**10).map(lambda s: s * 10**9)),
    size=st.one_of(st.integers(0, 9999), st.integers(8 * GIB - 2, 8 * GIB + 2), st.just(1 << 62)),
    link=_path,
    device=st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1)),
    xattrs=st.dictionaries(_key.map(str.encode), st.binary(max_size=120), max_size=3),
)


def _by_tarfile(member: Member, *, link: bool) -> bytes:
    kind = stat.S_IFMT(member.mode)
    info = tarfile.TarInfo(os.fsdecode(member.path))
    info.type, info.mode = tarfile.LNKTYPE if link else KINDS[kind], stat.S_IMODE(member.mode)
    info.uid, info.gid, info.linkname = member.uid, member.gid, os.fsdecode(member.link)
    if not link:
        info.devmajor, info.devminor = member.device
        info.size = member.size if kind == stat.S_IFREG else 0
        info.pax_headers = {
            f"SCHILY.xattr.{name.decode()}": os.fsdecode(value)
            for name, value in sorted(member.xattrs.items())
        }
    seconds, rest = divmod(member.mtime_ns, 10**9)
    info.mtime = max(0, seconds)
    if rest or seconds < 0:
        sign, whole = ("-", -member.mtime_ns) if seconds < 0 else ("", member.mtime_ns)
        text = f"{sign}{whole // 10**9}.{whole % 10**9:09d}" if rest else str(seconds)
        info.pax_headers = {**info.pax_headers, "mtime": text}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


@given(_members)
def test_headers_are_those_of_tarfile(member: Member) -> None:
    assert encoded(member) == _by_tarfile(member, link=False)
    assert encoded_link(member, member.link) == _by_tarfile(member, link=True)


def test_names_of_attributes_may_be_any_bytes() -> None:
    name, value = b"user.\xff\xfe", b"\0\n=\xff"
    data = encoded(Member(b"f", stat.S_IFREG, xattrs={name: value})) + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape", encoding="utf-8") as tar:
        (read,) = tar.getmembers()
    assert read.pax_headers["SCHILY.xattr." + os.fsdecode(name)] == os.fsdecode(value)


@pytest.mark.parametrize(
    ("member", "named"),
    [
        (Member(b"f", stat.S_IFREG, xattrs={b"user.a=b": b""}), "attribute user.a=b"),
        (Member(b"f", stat.S_IFCHR, device=(1 << 21, 0)), "device 2097152:0"),
    ],
)
def test_what_no_tar_can_hold_is_refused(member: Member, named: str) -> None:
    with pytest.raises(LaminaError, match=named):
        encoded(member)


def test_tar_lists_files_beyond_8_gib(tmp_path: Path) -> None:
    size = 9 * GIB + 1
    with (tmp_path / "t").open("wb") as file:
        tar = TarWriter.over(file)
        tar.add(Member(b"huge", stat.S_IFREG | 0o640, size=size))
        file.seek(-(-size // 512) * 512, os.SEEK_CUR)
        TarWriter(file.write).end(RECORD)
    done = subprocess.run(["tar", "-tvf", tmp_path / "t"], capture_output=True, text=True, check=True)
    assert f" {size} " in done.stdout, done.stdout
    assert done.stdout.endswith(" huge\n")


@pytest.mark.parametrize("size", [0, 1, 512, SENT - 1, SENT, 3 * SENT + 5])
@pytest.mark.parametrize("seekable", [True, False])
def test_copies_are_the_same_by_every_way(size: int, seekable: bool) -> None:
    data = os.urandom(7) + bytes(size)
    written = []
    for way in ("file", "memory"):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as source:
            source.write(data)
            source.seek(7)
            given_source = source if seekable else io.BytesIO(data[7:])
            gathered = io.BytesIO()
            tar = TarWriter.over(out) if way == "file" else TarWriter(gathered.write)
            tar.add(Member(b"f", stat.S_IFREG, size=size))
            assert tar.copy(given_source, size) == size
            tar.add(Member(b"g", stat.S_IFREG))
            tar.end()
            out.seek(0)
            written.append(out.read() if way == "file" else gathered.getvalue())
    assert written[0] == written[1]
    with tarfile.open(fileobj=io.BytesIO(written[0])) as read:
        assert [(member.name, member.size) for member in read] == [("f", size), ("g", 0)]


@pytest.mark.parametrize("size", [10, SENT * 2])
def test_a_source_that_ends_early_is_told_and_may_be_filled_up(tmp_path: Path, size: int) -> None:
    (tmp_path / "s").write_bytes(b"x" * (size // 2))
    with (tmp_path / "s").open("rb") as source, (tmp_path / "t").open("wb") as out:
        tar = TarWriter.over(out)
        tar.add(Member(b"f", stat.S_IFREG, size=size))
        copied = tar.copy(source, size)
        assert copied == size // 2
        with pytest.raises(ValueError, match="less data"):
            tar.end()
        tar.zeros(size - copied)
        with pytest.raises(ValueError, match="more data"):
            tar.data(b"y")
        tar.end(RECORD)
    assert (tmp_path / "t").stat().st_size % RECORD == 0
    with tarfile.open(tmp_path / "t") as read:
        stream = read.extractfile("f")
        assert stream is not None
        assert stream.read() == b"x" * (size // 2) + bytes(size - size // 2)
