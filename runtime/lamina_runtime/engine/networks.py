"""Named networks: what they are, kept as files.

Theory.  A network is `networks/NAME/network.json` below the root; nothing runs for it until a
container does (engine.keepers).  One lock keeps the making, removing and starting of networks apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import secrets
from typing import TYPE_CHECKING

from lamina_runtime.engine import moments
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.store import files
from lamina_runtime.value import value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lamina_runtime.container.wishes import Joined
    from lamina_runtime.engine.context import Engine

VERSION = 1
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
BUILT_IN = ("bridge", "host", "none")
OTHERS = ("default", "private", "slirp4netns", "pasta", "container")  # words of --network
POOL = ipaddress.IPv4Network("10.89.0.0/16")  # podman's, cut into /24


class InUseError(LaminaError):
    """A network that containers are on, or a name that is taken."""


@value
class Network:
    """One named network."""

    name: str
    id: str
    created: str  # RFC 3339
    subnet: ipaddress.IPv4Network
    internal: bool
    labels: Mapping[str, str]

    @property
    def gateway(self) -> str:
        """Where packets for others go."""
        return str(self.subnet[2])

    @property
    def resolver(self) -> str:
        """What answers for names that are not of containers."""
        return str(self.subnet[3])


def folder(engine: Engine) -> Path:
    """Return the directory of networks; it need not exist."""
    return engine.root / "networks"


def sockets(engine: Engine) -> Path:
    """Return the directory in which keepers are asked; it need not exist."""
    return engine.directories.run / "networks"


@contextlib.contextmanager
def changing(engine: Engine) -> Iterator[None]:
    """Keep others from making, removing or starting networks."""
    for path in (folder(engine), sockets(engine)):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder(engine) / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def every(engine: Engine) -> list[Network]:
    """Return the named networks by their names."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder(engine))):
            with contextlib.suppress(NotFoundError):
                found.append(_load(engine, name))
    return found


def find(engine: Engine, word: str) -> Network:
    """Return the network of a name, an id or the beginning of one id only."""
    with contextlib.suppress(NotFoundError):
        return _load(engine, word)
    matches = [one for one in every(engine) if word and one.id.startswith(word)]
    if len(matches) > 1:
        raise UsageError(f"more than one network begins with {word}")
    if not matches:
        raise NotFoundError(f"network {word} not found")
    return matches[0]


def _load(engine: Engine, name: str) -> Network:
    try:
        if not NAME.fullmatch(name):
            raise FileNotFoundError
        kept = json.loads((folder(engine) / name / "network.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"network {name} not found") from None
    if kept["version"] != VERSION:
        raise LaminaError(f"network {name} was written by another version of lamina")
    subnet = ipaddress.IPv4Network(kept["subnet"])
    return Network(name, kept["id"], kept["created"], subnet, kept["internal"], kept["labels"])


def create(engine: Engine, name: str, *, subnet: str, internal: bool, labels: Mapping[str, str]) -> Network:
    """Make a network; InUseError where its name or its addresses are taken."""
    if not NAME.fullmatch(name):
        raise UsageError(f"invalid network name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if name in (*BUILT_IN, *OTHERS):
        raise UsageError(f"operation is not permitted on predefined {name} network")
    with changing(engine):
        known = every(engine)
        if any(one.name == name for one in known):
            raise InUseError(f"network with name {name} already exists")
        chosen = _subnet(subnet, [one.subnet for one in known])
        top = folder(engine) / name
        top.mkdir(mode=0o700, exist_ok=True)
        text = {
            "version": VERSION,
            "id": secrets.token_hex(32),
            "created": moments.now(),
            "subnet": str(chosen),
            "internal": internal,
            "labels": dict(labels),
        }
        files.replace(top / "network.json", json.dumps(text).encode(), temporary=top)
        return _load(engine, name)


def _subnet(wished: str, taken: Sequence[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    if wished:
        try:
            chosen = ipaddress.IPv4Network(wished)
        except ValueError:
            raise UsageError(f"invalid subnet {wished}: an IPv4 network as 10.1.2.0/24 expected") from None
        if not 8 <= chosen.prefixlen <= 25:  # slirp4netns takes no smaller one
            raise UsageError(f"invalid subnet {wished}: between /8 and /25")
        if any(chosen.overlaps(other) for other in taken):
            raise InUseError(f"invalid pool request: {chosen} overlaps with another network")
        return chosen
    for candidate in POOL.subnets(new_prefix=24):
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise InUseError("no subnet is left")


def check(engine: Engine, wished: Sequence[Joined]) -> None:
    """Refuse networks that are not there, and addresses that are not theirs."""
    for one in wished:
        network = find(engine, one.name)
        if one.address and ipaddress.IPv4Address(one.address) not in network.subnet:
            raise UsageError(f"address {one.address} is not in {network.subnet} of the network {one.name}")
