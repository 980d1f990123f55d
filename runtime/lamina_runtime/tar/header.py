"""Headers of tar members, such that the same member has the same bytes, whoever writes it and when.

ustar where it suffices; PAX records in front for what does not fit: names that are long or not ASCII,
numbers beyond octal (sizes from 8 GiB, times before 1970 or of fractions), extended attributes.  Names of
users are left out.  Bytes that are no UTF-8 stay as they are, with the record that says so.

The bytes are those of the standard library's tarfile, which layers were written with and digests
of commits depend on; but that fails at names of attributes that are no UTF-8, and what it puts
into fields that mean nothing changed from one Python to the next.
"""

from __future__ import annotations

import stat

from lamina_runtime.errors import LaminaError
from lamina_runtime.value import MappingProxyType, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BLOCK = 512
LONGEST = 100  # bytes of a name, and of a link's target
SMALL = 8**7  # what an id or device number stays below
LARGE = 8**11  # what a size or time stays below
NONE: Mapping[bytes, bytes] = MappingProxyType({})
LINK, EXTENDED = b"1", b"x"
_TYPES = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}


@value
class Member:
    """What a header says.  `mode` has the type in it; of a file `size` bytes follow."""

    path: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = NONE


def encoded(member: Member) -> bytes:
    """Return the header of what is not one more name."""
    kind = stat.S_IFMT(member.mode)
    path = member.path or b"."
    if kind == stat.S_IFDIR and not path.endswith(b"/"):
        path += b"/"
    size = member.size if kind == stat.S_IFREG else 0
    device = member.device if kind in (stat.S_IFCHR, stat.S_IFBLK) else None
    return _header(
        member, path, _TYPES[kind], link=member.link, size=size, xattrs=member.xattrs, device=device
    )


def encoded_link(member: Member, target: bytes) -> bytes:
    """Return the header of one more name of a file that came before."""
    return _header(member, member.path, LINK, link=target, size=0, xattrs={}, device=None)


def _header(
    member: Member,
    path: bytes,
    kind: bytes,
    *,
    link: bytes,
    size: int,
    xattrs: Mapping[bytes, bytes],
    device: tuple[int, int] | None,
) -> bytes:
    records = dict(_attributes(xattrs))
    seconds, rest = divmod(member.mtime_ns, 10**9)
    if rest or seconds < 0:
        records[b"mtime"] = _seconds(seconds, rest)
    texts = {b"path": path, b"linkpath": link}
    records |= {key: text for key, text in texts.items() if len(text) > LONGEST or not text.isascii()}
    numbers = {b"uid": member.uid, b"gid": member.gid, b"size": size, b"mtime": max(seconds, 0)}
    for keyword, number in numbers.items():
        if not 0 <= number < (SMALL if keyword in (b"uid", b"gid") else LARGE):
            records.setdefault(keyword, b"%d" % number)
            numbers[keyword] = 0
    if device and not all(0 <= number < SMALL for number in device):
        raise LaminaError(f"{_shown(path)}: a tar cannot hold device {device[0]}:{device[1]}")
    plain = _block(path, stat.S_IMODE(member.mode), kind, numbers, link=link, device=device)
    return _extension(records) + plain if records else plain


def _attributes(xattrs: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    for name, content in sorted(xattrs.items()):
        if b"=" in name:
            raise LaminaError(
                f"a tar cannot hold the attribute {_shown(name)}", details="its name has the sign ="
            )
        yield b"SCHILY.xattr." + name, content


def _extension(records: Mapping[bytes, bytes]) -> bytes:
    lines = [_record(keyword, value) for keyword, value in records.items()]
    if not all(_is_text(value) for value in records.values()):
        lines.insert(0, _record(b"hdrcharset", b"BINARY"))
    data = b"".join(lines)
    numbers = {b"uid": 0, b"gid": 0, b"size": len(data), b"mtime": 0}
    return _block(b"././@PaxHeader", 0, EXTENDED, numbers) + data + bytes(-len(data) % BLOCK)


def _record(keyword: bytes, value: bytes) -> bytes:
    """Return a line that begins with its own length."""
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, keyword, value)


def _block(
    path: bytes,
    mode: int,
    kind: bytes,
    numbers: Mapping[bytes, int],
    *,
    link: bytes = b"",
    device: tuple[int, int] | None = None,
) -> bytes:
    devices = b"%07o\0%07o\0" % device if device else bytes(16)
    fields = (
        _field(path), b"%07o\0%07o\0%07o\0" % (mode, numbers[b"uid"], numbers[b"gid"]),
        b"%011o\0%011o\0" % (numbers[b"size"], numbers[b"mtime"]), b" " * 8, kind, _field(link),
        b"ustar\x0000", bytes(64), devices,
    )  # fmt: skip
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _field(text: bytes) -> bytes:
    """Return a name as the plain header shows it; if it is not this, a record has the name itself."""
    if not text.isascii():
        text = text.decode("utf-8", "surrogateescape").encode("ascii", "replace")
    return text[:LONGEST].ljust(LONGEST, b"\0")


def _seconds(seconds: int, nanoseconds: int) -> bytes:
    """Return a time as PAX has it: a decimal number."""
    sign = b""
    if seconds < 0 and nanoseconds:
        seconds, nanoseconds, sign = -(seconds + 1), 10**9 - nanoseconds, b"-"
    return sign + (b"%d.%09d" % (seconds, nanoseconds) if nanoseconds else b"%d" % seconds)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(raw: bytes) -> str:
    return raw[:200].decode("utf-8", "backslashreplace")
