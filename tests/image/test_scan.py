"""The scanner reads a tar as tarfile does, however it is cut."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lamina_native import image

from tests.image.making import Member, scan, tar

KINDS = {
    tarfile.REGTYPE: image.FILE,
    tarfile.DIRTYPE: image.DIR,
    tarfile.SYMTYPE: image.SYMLINK,
    tarfile.LNKTYPE: image.HARDLINK,
    tarfile.CHRTYPE: image.CHAR,
    tarfile.BLKTYPE: image.BLOCK,
    tarfile.FIFOTYPE: image.FIFO,
}
NAME = st.text("abé .-", min_size=1, max_size=90).filter(lambda name: name not in (".", ".."))
PATH = st.lists(NAME, min_size=1, max_size=5).map("/".join)


@st.composite
def members(draw: st.DrawFn) -> Member:
    kind = draw(st.sampled_from(list(KINDS)))
    attributes = {
        "type": kind,
        "mode": draw(st.integers(0, 0o7777)),
        "uid": draw(st.integers(0, (1 << 32) - 2)),
        "gid": draw(st.integers(0, 1 << 22)),
        "mtime": draw(st.integers(-(1 << 33), 1 << 40)),
    }
    if kind == tarfile.REGTYPE:
        attributes["data"] = draw(st.binary(max_size=1200))
    if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
        attributes["linkname"] = draw(PATH)
    if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        attributes |= {
            "devmajor": draw(st.integers(0, 4095)),
            "devminor": draw(st.integers(0, (1 << 20) - 1)),
        }
    return draw(PATH), attributes


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    given_members=st.lists(members(), max_size=8),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    step=st.integers(1, 3000),
)
def test_as_tarfile_reads_it(given_members: list[Member], form: int, step: int) -> None:
    data = tar(given_members, form=form)
    found = list(image.entries(scan(data, step=step)))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = archive.getmembers()
        assert len(found) == len(expected)
        for entry, info in zip(found, expected, strict=True):
            assert entry.path == info.name.encode()
            assert (entry.kind, entry.mode) == (KINDS[info.type], info.mode)
            assert (entry.uid, entry.gid, entry.mtime) == (info.uid, info.gid, info.mtime)
            if info.isreg() and info.size:
                assert (entry.data_offset, entry.size) == (info.offset_data, info.size)
            if info.islnk() or info.issym():
                assert entry.link == info.linkname.encode()
            if info.isdev() and not info.isfifo():
                assert entry.rdev == (info.devmajor, info.devminor)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=3000), cut=st.integers(1, 600))
def test_garbage_is_refused_in_one_line(data: bytes, cut: int) -> None:
    results = []
    for step in (cut, 1 << 20):
        try:
            results.append(scan(data, step=step))
        except image.LaminaTarError as exc:
            assert exc.text
            assert "\n" not in str(exc)
            results.append((exc.code, exc.offset, exc.text))
    assert results[0] == results[1]


@pytest.mark.parametrize("key", ["SCHILY.xattr.user.n m", "LIBARCHIVE.xattr.user.n%20m"])
def test_attributes(key: str) -> None:
    value = "v" if key.startswith("S") else "dg=="
    (entry,) = image.entries(scan(tar([("f", {"pax_headers": {key: value}})])))
    assert entry.xattrs == {b"user.n m": b"v"}


def test_a_global_header_changes_nothing() -> None:
    out = io.BytesIO()
    headers = {"comment": "x", "uid": "7"}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
        archive.addfile(tarfile.TarInfo("f"))
    (entry,) = image.entries(scan(out.getvalue()))
    assert (entry.path, entry.uid) == (b"f", 0)
