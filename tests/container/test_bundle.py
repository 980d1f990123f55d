"""Our bundles run under other runtimes too, and our launcher runs the same ones."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from lamina_runtime.container import bundle, plan
from lamina_runtime.container.bundle import Map, Place
from lamina_runtime.container.records import Op, Record
from lamina_runtime.container.wishes import Limit, Mount, Wishes
from lamina_runtime.oci.container import ContainerConfig

from tests.container import box

pytestmark = [pytest.mark.userns, pytest.mark.timeout(60)]
SCRIPT = (
    "id -u; hostname; pwd; echo $A $HOME; ulimit -n; cat /etc/greeting; touch /new 2>/dev/null || echo sealed"
)


@pytest.fixture
def config(tmp_path: Path) -> dict[str, object]:
    root = box.make_root(tmp_path / "rootfs")
    (tmp_path / "greeting").write_text("hello\n")
    (root / "etc/greeting").touch()
    wishes = Wishes(
        command=("sh", "-c", SCRIPT),
        env=("A=1",),
        working_dir="/etc",
        hostname="box",
        read_only=True,
        limits=(Limit("nofile", 50, 60),),
        mounts=(Mount("bind", str(tmp_path / "greeting"), "/etc/greeting", ("ro",)),),
    )
    ids = (Map(0, os.getuid(), 1),)
    place = Place(
        str(root), ids, (Map(0, os.getgid(), 1),), own=[n for n in bundle.NAMESPACES if n != "cgroup"]
    )
    return bundle.make(ContainerConfig(env=("PATH=/bin", "HOME=/h")), wishes, place)


EXPECTED = ["0", "box", "/etc", "1", "/h", "50", "hello", "sealed"]


def test_by_our_launcher(config: dict[str, object]) -> None:
    result = box.Running([*plan.container(config), Record(Op.STDIO)]).end()
    assert result.out.split() == EXPECTED, result


@pytest.mark.root
@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_by_other_runtimes(config: dict[str, object], tmp_path: Path, runtime: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [runtime, "--root", str(tmp_path / "state")]
    command += ["--cgroup-manager=disabled"] if runtime == "crun" else []
    result = subprocess.run(
        [*command, "run", "--bundle", str(tmp_path), "lamina-bundle-test"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    if "hybrid mode not supported" in result.stderr:
        pytest.skip(f"{runtime} does not start anything on this machine: {result.stderr.strip()}")
    assert result.stdout.split() == EXPECTED, result.stderr
