"""Option strings: the forms that programs send, the values that make no sense, the round trip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_unionfs import options, words
from lamina_unionfs.errors import OptionError

LAYERS = "lowerdir=/l,upperdir=/u,workdir=/w"


def parse(*strings: str) -> options.Options:
    return options.parse(strings)


def test_defaults_are_the_complete_union() -> None:
    got = parse(LAYERS)
    assert (got.lower, got.upper, got.work) == (("/l",), ("/u",), ("/w",))
    assert (got.redirect_dir, got.metacopy, got.index, got.xino) == ("on", True, True, True)
    assert (got.fsync, got.engine, got.passthrough, got.open) == ("auto", "native", "auto", "auto")
    assert got.userxattr is None
    assert got.allow_other is None
    assert not got.readonly


def test_data_devices_are_paths_in_their_order() -> None:
    got = parse(r"lowerdir=/i,device=/a\,b,device=/c:d", "devicedir=/tags")
    assert (got.device, got.devicedir) == (("/a,b", "/c:d"), "/tags")
    with pytest.raises(OptionError, match="device needs a value"):
        parse("lowerdir=/i,device=")


def test_no_upper_is_readonly() -> None:
    assert parse("lowerdir=/l").readonly
    assert parse(f"{LAYERS},ro").readonly


def test_options_are_frozen_values() -> None:
    one = parse(LAYERS)
    with pytest.raises(AttributeError):
        one.engine = "pyfuse3"
    assert one == parse(LAYERS)
    assert hash(one) == hash(parse(LAYERS))
    assert one != parse(f"{LAYERS},ro")
    assert one != "options"


@pytest.mark.parametrize(
    "string",
    [
        "lowerdir=G/l/A:G/l/B,upperdir=U,workdir=W,,volatile",
        "lowerdir=A:B,upperdir=U,workdir=G/work,",
        "lowerdir=G/ID/diff:G/ID/empty",
        "lowerdir=A,private",
        "lowerdir=A,xattr_permissions=2",
        "lowerdir=A,noacl,static_nlink,lazytime,suid,dev",
        "lowerdir=A,uidmapping=:0:200000:2000,gidmapping=:0:200000:2000",
        "lowerdir=A,uidmapping=:0:1:1002:1002:0:1:1003:1003:64534",
        "lowerdir=A,x-systemd.automount,X-mount.mkdir=0755,comment=a b,_netdev,nofail",
        "lowerdir=A,redirect_dir=nofollow,index=off,metacopy=off,nfs_export=off,uuid=null,userxattr",
        "lowerdir=A,threaded=1,fast_ino=0,writeback=0,noxattrs=1,plugins=,fsync=0,timeout=0.5",
        "lowerdir=A,max_read=131072,clone_fd,max_idle_threads=10,subtype=x,auto_cache",
    ],
)
def test_command_lines_of_real_programs_parse(string: str) -> None:
    assert parse(string).lower


def test_id_mappings_come_in_rows_with_or_without_leading_colon() -> None:
    rows = ((0, 1, 1002), (1002, 0, 1), (1003, 1003, 64534))
    assert parse("uidmapping=:0:1:1002:1002:0:1:1003:1003:64534").uidmap == rows
    assert parse("gidmapping=0:1:1002:1002:0:1:1003:1003:64534").gidmap == rows


def test_escapes_in_layer_lists() -> None:
    assert parse(r"lowerdir=/a\:b:/c\,d:/e\\f").lower == ("/a:b", "/c,d", "/e\\f")
    assert parse(r"lowerdir+=/x\:y,lowerdir+=/z").lower == ("/x:y", "/z")


def test_repeated_lowerdir_plus_goes_below() -> None:
    assert parse("lowerdir=/a:/b,lowerdir+=/c", "lowerdir+=/d").lower == ("/a", "/b", "/c", "/d")


def test_later_options_win() -> None:
    assert parse("ro", "rw").flags == 0
    assert parse("lowerdir=/a,lowerdir=/b").lower == ("/b",)
    assert parse("nosuid,nodev,noexec,suid").flags == options.MS_NODEV | options.MS_NOEXEC


def test_quoted_context_keeps_its_commas() -> None:
    got = parse('lowerdir=/a,context="system_u:object_r:c:s0:c1,c2",ro')
    assert got.security_contexts == ('context="system_u:object_r:c:s0:c1,c2"',)
    assert got.readonly


def test_five_hundred_layers() -> None:
    paths = tuple(f"/layers/{number:03}" for number in range(500))
    assert parse("lowerdir=" + ":".join(paths)).lower == paths


def test_several_uppers() -> None:
    got = parse("lowerdir=/l,upperdir=/u1:/u2,workdir=/w1:/w2,create_policy=most-free")
    assert (got.upper, got.work, got.create_policy) == (("/u1", "/u2"), ("/w1", "/w2"), "most-free")


@pytest.mark.parametrize(
    ("string", "field", "value"),
    [
        ("xino=off", "xino", False),
        ("xino=auto", "xino", True),
        ("metacopy=off", "metacopy", False),
        ("volatile", "fsync", "volatile"),
        ("fsync=0", "fsync", "volatile"),
        ("fsync=1", "fsync", "auto"),
        ("fsync=strict", "fsync", "strict"),
        ("writeback", "writeback", "on"),
        ("writeback=1", "writeback", "on"),
        ("nowriteback", "writeback", "off"),
        ("noxattrs", "noxattrs", True),
        ("noxattrs=0", "noxattrs", False),
        ("squash_to_uid=7", "squash_to_uid", 7),
        ("squash_to_root", "squash_to_root", True),
        ("timeout=2.5", "negative_timeout", 2.5),
        ("attr_timeout=0", "attr_timeout", 0.0),
        ("open=handles", "open", "handles"),
        ("forward=all", "forward", "all"),
        ("forward=LOOKUP:GETATTR", "forward", "LOOKUP,GETATTR"),
        ("fsname=ov\\,er", "source", "ov,er"),
        ("nouserxattr", "userxattr", False),
        ("max_write=65536", "max_write", 65536),
        ("direct_read=1048576", "direct_read", 1048576),
    ],
)
def test_single_options(string: str, field: str, value: object) -> None:
    assert getattr(parse(string), field) == value


@pytest.mark.parametrize(
    ("string", "named"),
    [
        ("nonsense", "nonsense"),
        ("lowerdirs=/a", "lowerdirs"),
        ("redirect_dir=maybe", "redirect_dir"),
        ("metacopy", "metacopy"),
        ("ro=1", "ro"),
        ("volatile=1", "volatile"),
        ("uidmapping=0:1", "uidmapping"),
        ("uidmapping=0:0:0", "uidmapping"),
        ("uidmapping=0:4294967295:2", "uidmapping"),
        ("uidmapping=", "uidmapping"),
        ("squash_to_uid=-1", "squash_to_uid"),
        ("squash_to_uid=4294967296", "squash_to_uid"),
        ("xattr_permissions=3", "xattr_permissions"),
        ("timeout=soon", "timeout"),
        ("timeout=nan", "timeout"),
        ("timeout=-1", "timeout"),
        ("lowerdir=", "lowerdir"),
        ("lowerdir=/a::/b", "lowerdir"),
        ("lowerdir=:/a", "lowerdir"),
        ("upperdir", "upperdir"),
        ("engine=fuse2", "engine"),
        ("nfs_export=on", "nfs_export"),
        ("verity=require", "verity"),
        ("plugins=a", "plugins"),
        ("allow_root", "allow_root"),
        ("remount", "remount"),
        ("datadir+=/a", "datadir"),
        ('context="a', "context"),
        ("max_write=99999999999999999999999", "max_write"),
        ("direct_read=4M", "direct_read"),
    ],
)
def test_nonsense_is_refused_by_name(string: str, named: str) -> None:
    with pytest.raises(OptionError, match=named) as failure:
        parse(f"lowerdir=/l,{string}")
    assert "\n" not in str(failure.value)


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)


def escape(path: str) -> str:
    for special in ("\\", ":", ","):
        path = path.replace(special, "\\" + special)
    return path


@given(st.lists(NAMES, min_size=1, max_size=8))
def test_any_path_survives_escaping(paths: list[str]) -> None:
    string = "lowerdir=" + ":".join(map(escape, paths)) + ",ro"
    got = parse(string)
    assert got.lower == tuple(paths)
    assert got.readonly


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        parse(text)
    except OptionError as error:
        assert str(error)


@given(st.text(st.sampled_from("ab\\,:"), max_size=20))
def test_split_keeps_every_character(text: str) -> None:
    assert ",".join(words.split_escaped(text, ",")) == text
