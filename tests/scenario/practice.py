"""A Debian gets nginx, vim, python3 and a page, is committed, saved, loaded elsewhere, and serves it.

Each step is a command line that a user of docker would type; each is checked by what it printed or left.
Debian's packages come from the sources of the host, and are kept between runs (`rootfs.CACHE`).
"""

from __future__ import annotations

import json
import tarfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.containers_cli.conftest import Host
from tests.integration import rootfs

PAGE = "<!doctype html><title>practice</title><p>Served from a layer that commit made.</p>\n"
SITE = "server { listen 3000; root /srv/www; access_log /dev/stdout; }\n"
PACKAGES = ("nginx", "vim", "python3")
APT_SECONDS = 240
WWW_DATA = 33  # in every Debian
NGINX = 'CMD ["nginx", "-g", "daemon off;"]'


@dataclass
class Scenario:
    """The same person with two stores: one to build in, an empty one to ship to."""

    workshop: Host
    elsewhere: Host
    port: int = 3000
    say: Callable[[str], object] = print
    made: str = field(default="", init=False)

    def play(self) -> None:
        """Do all of it; AssertionError tells the step that went wrong."""
        self.start()
        self.install()
        self.bring_the_page()
        self.look()
        self.commit()
        self.ship()
        self.serve()

    def start(self) -> None:
        """Run a Debian with two variables, a port and a name."""
        rootfs.debian()
        self._do(self.workshop, "import", str(rootfs.CACHE / f"debian-{rootfs.SUITE}-apt.tar"), "debian")
        port = ["-p", f"{self.port}:3000"]
        words = ["-d", "--name", "web", "-e", "GREETING=hello there", "-e", "STAGE=practice", *port]
        self.made = self._do(self.workshop, "run", *words, "debian", "sleep", "infinity").strip()
        assert self._do(self.workshop, "ps", "-lq").strip() == self.made[:12]
        told = self._do(self.workshop, "exec", "web", "sh", "-c", 'echo "$GREETING, $STAGE"')
        assert told == "hello there, practice\n"

    def install(self) -> None:
        """Install packages by apt, as its own user `_apt` fetches them."""
        self._do(self.workshop, "exec", "web", "apt-get", "-qq", "update", seconds=APT_SECONDS)
        words = ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *PACKAGES]
        quiet = ["-e", "DEBIAN_FRONTEND=noninteractive"]
        self._do(self.workshop, "exec", *quiet, "web", *words, seconds=APT_SECONDS)
        versions = self._do(
            self.workshop, "exec", "web", "sh", "-c", "nginx -v 2>&1; vim --version; python3 -V"
        )
        for name in ("nginx/", "VIM - Vi IMproved", "Python 3."):
            assert name in versions

    def bring_the_page(self) -> None:
        """Copy a page and a site in from the host, and the page out again."""
        desk = self.workshop.top / "desk"
        self._do(self.workshop, "exec", "web", "mkdir", "-p", "/srv/www")
        self._do(self.workshop, "cp", str(desk / "index.html"), "web:/srv/www/")
        self._do(self.workshop, "cp", str(desk / "site"), "web:/etc/nginx/sites-enabled/default")
        assert self._do(self.workshop, "exec", "web", "cat", "/srv/www/index.html") == PAGE
        self._do(self.workshop, "cp", "web:/srv/www/index.html", str(desk / "back.html"))
        assert (desk / "back.html").read_text() == PAGE

    def look(self) -> None:
        """See what changed, and what the container is."""
        changed = self._do(self.workshop, "diff", "web").splitlines()
        for line in ("A /srv/www/index.html", "A /usr/sbin/nginx", "C /etc", "C /var/lib/dpkg/status"):
            assert line in changed, line
        (known,) = json.loads(self._do(self.workshop, "inspect", "web"))
        assert known["State"]["Running"]
        assert {"GREETING=hello there", "STAGE=practice"} <= set(known["Config"]["Env"])
        assert known["HostConfig"]["PortBindings"]["3000/tcp"][0]["HostPort"] == str(self.port)
        assert f":{self.port}->3000/tcp" in self._do(self.workshop, "ps", "--format", "{{.Ports}}")

    def commit(self) -> None:
        """Make an image of it: history tells the new layer."""
        words = ["-a", "A. Founder", "-m", "nginx and a page", "-c", NGINX, "-c", "EXPOSE 3000"]
        image = self._do(self.workshop, "commit", *words, "web", "site:1").strip()
        newest, *older = self._do(
            self.workshop, "history", "--no-trunc", "--format", "{{.ID}}\t{{.Comment}}", "site:1"
        ).splitlines()
        assert newest == f"{image}\tnginx and a page"
        assert older
        self._do(self.workshop, "rm", "-f", "web")

    def ship(self) -> None:
        """Save it, and load it into an empty store: the same image, whose owners another tool reads."""
        archive = self.workshop.top / "site.tar"
        self._do(self.workshop, "save", "-o", str(archive), "site:1")
        assert owner(archive, "var/log/nginx/access.log") == WWW_DATA
        assert self._do(self.elsewhere, "images", "-q") == ""
        assert "site:1" in self._do(self.elsewhere, "load", "-i", str(archive))
        ids = [
            self._do(host, "images", "-q", "--no-trunc", "site:1") for host in (self.workshop, self.elsewhere)
        ]
        assert ids[0] == ids[1]

    def serve(self) -> None:
        """Run what was shipped: the page is there, the log tells of the request."""
        port = ["-p", f"{self.port}:3000"]
        self._do(self.elsewhere, "run", "-d", "--name", "site", *port, "site:1")
        url = f"http://localhost:{self.port}/"
        assert fetch(url) == PAGE
        self.say(f"$ curl {url}\n{PAGE}")
        assert '"GET / HTTP/1.1" 200' in self._do(self.elsewhere, "logs", "site")
        assert "nginx" in self._do(self.elsewhere, "top", "site")
        self._do(self.elsewhere, "stop", "-t", "5", "site")
        assert self._do(self.elsewhere, "ps", "-q") == ""
        self._do(self.elsewhere, "rm", "site")

    def _do(self, host: Host, *words: str, seconds: float = 60) -> str:
        self.say("$ lamina " + " ".join(word if " " not in word else repr(word) for word in words))
        started = time.monotonic()
        done = host.run(*words, seconds=seconds)
        assert done.returncode == 0, f"{words}: {done.returncode}: {done.stderr}\n{done.stdout[-2000:]}"
        lines = done.stdout.splitlines()
        shown = [*lines[:4], f"... {len(lines) - 4} more lines"] if len(lines) > 5 else lines
        self.say("".join(f"{line[:150]}\n" for line in shown) + f"    {time.monotonic() - started:.2f} s")
        return done.stdout


def fetch(url: str) -> str:
    """Return what a URL gives, as soon as its server is there."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)


def owner(archive: Path, path: str) -> int:
    """Return the user id of a file in the topmost layer of a docker-archive."""
    with tarfile.open(archive) as outer:
        manifest = outer.extractfile("manifest.json")
        assert manifest is not None
        top = outer.extractfile(json.load(manifest)[0]["Layers"][-1])
        assert top is not None
        with tarfile.open(fileobj=top) as layer:
            return layer.getmember(path).uid
