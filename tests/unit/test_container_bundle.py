"""config.json: what image and user say, combined as docker does."""

import json

import pytest
from lamina_runtime.container import bundle, plan
from lamina_runtime.container.bundle import Map, Place
from lamina_runtime.container.records import Op
from lamina_runtime.container.wishes import Limit, Mount, Wishes
from lamina_runtime.oci.container import ContainerConfig
from lamina_runtime.value import replace

PLACE = Place(
    "/r", (Map(0, 1000, 1),), (Map(0, 1000, 1),), files={"/etc/hosts": "/run/hosts"}, volumes={"v": "/vols/v"}
)


@pytest.mark.parametrize(
    ("image", "wishes", "words"),
    [
        (ContainerConfig(cmd=("sh",)), Wishes(), ["sh"]),
        (ContainerConfig(cmd=("sh",)), Wishes(command=("ls", "-l")), ["ls", "-l"]),
        (ContainerConfig(entrypoint=("e",), cmd=("c",)), Wishes(), ["e", "c"]),
        (ContainerConfig(entrypoint=("e",), cmd=("c",)), Wishes(command=("x",)), ["e", "x"]),
        (ContainerConfig(entrypoint=("e",), cmd=("c",)), Wishes(entrypoint=("f",)), ["f"]),
        (ContainerConfig(entrypoint=("e",), cmd=("c",)), Wishes(entrypoint=(), command=("x",)), ["x"]),
    ],
)
def test_entrypoint_and_command(image: ContainerConfig, wishes: Wishes, words: list[str]) -> None:
    assert bundle.arguments(image, wishes) == words


@pytest.mark.parametrize("wishes", [Wishes(), Wishes(entrypoint=()), Wishes(command=("",))])
def test_nothing_to_run_is_125(wishes: Wishes) -> None:
    with pytest.raises(bundle.BundleError, match="no command specified") as caught:
        bundle.arguments(ContainerConfig(), wishes)
    assert caught.value.exit_code == 125


def test_environment_of_the_user_wins_over_the_images() -> None:
    image = ContainerConfig(env=("A=1", "PATH=/opt", "B=x=y"))
    words = bundle.environment(image, Wishes(env=("A=2", "C="), hostname="h", terminal=True))
    assert words == ["PATH=/opt", "TERM=xterm", "HOSTNAME=h", "A=2", "B=x=y", "C="]


def made(wishes: Wishes, **place: object) -> dict[str, object]:
    return bundle.make(ContainerConfig(cmd=("sh",)), wishes, replace(PLACE, **place))


def destinations(config: dict[str, object]) -> list[str]:
    return [row["destination"] for row in config["mounts"]]


def test_mounts_of_the_user_come_parents_first_and_replace_ours() -> None:
    mounts = (
        Mount("tmpfs", "", "/a/b"),
        Mount("volume", "v", "/a", ("ro",)),
        Mount("bind", "/h", "etc/../etc/hosts"),
    )
    found = destinations(made(Wishes(mounts=mounts)))
    assert found.index("/a") < found.index("/a/b")
    assert found.count("/etc/hosts") == 1
    rows = {row["destination"]: row for row in made(Wishes(mounts=mounts))["mounts"]}
    assert rows["/a"] == {
        "destination": "/a",
        "type": "bind",
        "source": "/vols/v",
        "options": ["rbind", "ro"],
    }
    assert rows["/etc/hosts"]["source"] == "/h"


@pytest.mark.parametrize("target", ["/", "", "/a/..", "../.."])
def test_a_mount_over_the_root_is_refused(target: str) -> None:
    with pytest.raises(bundle.BundleError):
        made(Wishes(mounts=(Mount("tmpfs", "", target),)))


def test_shared_namespaces_are_not_made() -> None:
    config = made(Wishes(share=("network", "pid")))
    kinds = [row["type"] for row in config["linux"]["namespaces"]]
    assert kinds == ["user", "mount", "ipc", "uts", "cgroup"]
    rows = {row["destination"]: row for row in config["mounts"]}
    assert rows["/sys"]["options"] == ["rbind", "ro"]
    assert rows["/proc"]["options"] == ["rbind"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("net.ipv4.ip_default_ttl", "network"),
        ("kernel.msgmax", "ipc"),
        ("kernel.shm_rmid_forced", "ipc"),
        ("kernel.sem", "ipc"),
        ("fs.mqueue.msg_max", "ipc"),
        ("kernel.domainname", "uts"),
        ("kernel.hostname", "uts"),
    ],
)
def test_parameters_are_set_in_namespaces_of_the_containers_own_only(name: str, kind: str) -> None:
    assert made(Wishes(sysctls={name: "1"}))["linux"]["sysctl"] == {name: "1"}
    with pytest.raises(bundle.BundleError, match=f"{name}.* shares the host's {kind}") as caught:
        made(Wishes(sysctls={name: "1"}, share=(kind,)))
    assert caught.value.exit_code == 125
    lost = [one for one in PLACE.own if one != kind]  # by a rung
    with pytest.raises(bundle.BundleError, match="shares the host's"):
        made(Wishes(sysctls={name: "1"}), own=lost)


@pytest.mark.parametrize(
    "name", ["vm.swappiness", "kernel.semx", "kernel.core_pattern", "fs.file-max", "network.x"]
)
def test_parameters_that_are_the_hosts_are_refused(name: str) -> None:
    with pytest.raises(bundle.BundleError, match="apart from the host"):
        made(Wishes(sysctls={name: "1"}))


def test_a_domain_name_is_not_the_hosts() -> None:
    with pytest.raises(bundle.BundleError, match="uts"):
        made(Wishes(domainname="foo", share=("uts",)))


def test_privileged_hides_nothing() -> None:
    linux = made(Wishes(privileged=True))["linux"]
    assert "maskedPaths" not in linux
    assert "readonlyPaths" not in linux


def test_every_bundle_becomes_a_plan() -> None:
    limits = (Limit("nofile", 10, 20),)
    wishes = Wishes(
        limits=limits, user="ann:video", read_only=True, sysctls={"net.ipv4.ip_forward": "1"}, terminal=True
    )
    rows = list(plan.container(made(wishes)))
    by_op = {row.op: row.arguments for row in rows}
    assert by_op[Op.USER] == (b"ann:video",)
    assert by_op[Op.RLIMIT] == (b"7", b"10", b"20")
    assert by_op[Op.SYSCTL] == (b"net/ipv4/ip_forward", b"1")
    assert by_op[Op.ROOT] == (b"/r", b"pivot", b"ro", b"0x4")


def test_wishes_survive_json() -> None:
    wishes = Wishes(
        command=("a", "b"),
        entrypoint=(),
        mounts=(Mount("bind", "/s", "/t", ("ro",)),),
        limits=(Limit("core", 0, 0),),
        devices=(("/dev/fuse", "/dev/fuse"),),
        labels={"a": "b"},
        oom_score=-5,
    )
    assert Wishes.from_json(json.loads(json.dumps(wishes.to_json()))) == wishes


def test_a_volume_that_is_not_there_is_named() -> None:
    with pytest.raises(bundle.BundleError, match="no volume data"):
        made(Wishes(mounts=(Mount("volume", "data", "/d"),)))
