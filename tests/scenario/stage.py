"""Two stores of one person, with the page on the desk."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from tests.containers_cli.conftest import Host, make_host
from tests.scenario.practice import PAGE, SITE
from tests.support import accounts


@contextlib.contextmanager
def stores(kind: str) -> Iterator[tuple[Host, Host]]:
    """Give a workshop and an empty store elsewhere; nothing of either stays."""
    pair = [make_host(kind), make_host(kind)]
    try:
        desk = pair[0].top / "desk"
        desk.mkdir()
        (desk / "index.html").write_text(PAGE)
        (desk / "site").write_text(SITE)
        if kind != "root":
            os.chown(desk, *accounts.ids())
        for host in pair:
            host("rmi", "box")
        yield pair[0], pair[1]
    finally:
        for host in pair:
            left = host.run("ps", "-aq").stdout.split()
            if left:
                host.run("rm", "-f", *left)
            shutil.rmtree(host.top, ignore_errors=True)
