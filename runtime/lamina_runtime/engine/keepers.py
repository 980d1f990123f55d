"""Keepers of named networks: started with the first container, asked by a socket, gone with the last.

Theory.  A keeper (network.keeping) is started by the launcher and with slirp4netns, as a container is.
Whether there is one is asked of its socket, never written down.  The first keeper of a plain user makes
the user namespace that later ones, and all containers on named networks, join.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lamina_runtime
from lamina_runtime.container import capabilities, launch
from lamina_runtime.container.plan import NAMESPACES, joined
from lamina_runtime.container.records import Op, Record
from lamina_runtime.engine.networking import TUN, NetworkError
from lamina_runtime.engine.networks import InUseError, Network, changing, every, find, folder, sockets
from lamina_runtime.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamina_runtime.engine.context import Engine

WAIT = 10.0  # seconds for a keeper to come up, and for an answer
STEP = 0.01
PACKET = 1 << 16


def connection(engine: Engine, network: Network) -> socket.socket | None:
    """Return a connection to a network's keeper, None where there is none."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.settimeout(WAIT)
    try:
        directory = os.open(sockets(engine), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        made.close()
        return None
    try:  # by a descriptor: the path may be longer than an address may be
        made.connect(f"/proc/self/fd/{directory}/{network.id[:16]}")
    except (FileNotFoundError, ConnectionRefusedError):
        made.close()
        return None
    finally:
        os.close(directory)
    return made


def ask(held: socket.socket, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keeper's answer; NetworkError where it refuses, ConnectionError where it has gone."""
    held.send(json.dumps(request).encode())
    data = held.recv(PACKET)
    if not data:
        raise ConnectionResetError("the network's keeper has gone")
    answer: dict[str, Any] = json.loads(data)
    if "error" in answer:
        raise NetworkError(answer["error"])
    return answer


def peer(held: socket.socket) -> int:
    """Return the process at the other end."""
    raw = held.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("iII", raw)[0])


def members(engine: Engine, network: Network) -> list[dict[str, Any]]:
    """Return who is on a network."""
    held = connection(engine, network)
    if held is None:
        return []
    with held, contextlib.suppress(ConnectionError):
        found: list[dict[str, Any]] = ask(held, {"do": "members"})["members"]
        return found
    return []


def kept(engine: Engine, network: Network) -> socket.socket:
    """Return a connection to a network's keeper, which is started where there is none."""
    with changing(engine):
        held = connection(engine, network)
        if held is not None:
            return held
        monitor = launch.start(
            _plan(engine, network), errors=sockets(engine) / f"{network.id[:16]}.log"
        ).monitor
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            held = connection(engine, network)
            if held is not None:
                return held
            if os.waitpid(monitor, os.WNOHANG)[0]:
                break
            time.sleep(STEP)
        said = (sockets(engine) / f"{network.id[:16]}.log").read_text(encoding="utf-8", errors="replace")
        raise NetworkError(
            f"network {network.name}: its keeper does not come up", details=said.strip()[-2000:]
        )


def _plan(engine: Engine, network: Network) -> list[Record]:
    """Return what starts a keeper: its namespaces, what leads out of them, its program."""
    mapped = engine.ids
    rows = []
    kinds = ["network"]
    shared = _shared(engine) if mapped.uids else 0
    if shared:
        rows.append(joined(shared, ("user",)))
    elif mapped.uids:
        kinds.append("user")
        for op, maps in ((Op.UIDMAP, mapped.uids), (Op.GIDMAP, mapped.gids)):
            rows += [Record(op, row.inside, row.outside, row.count) for row in maps]
        if mapped.mappers:
            rows.append(Record(Op.MAPPER, *mapped.mappers))
    rows.append(Record(Op.NAMESPACES, hex(sum(NAMESPACES[kind] for kind in kinds))))
    helper = [] if network.internal else _helper(network)
    rows += [Record(Op.NETWORK, word) for word in helper]
    task = {
        "of": str(engine.root),  # for whoever looks at it in a list of processes
        "name": network.name,
        "subnet": str(network.subnet),
        "outside": bool(helper),
        "socket": str(sockets(engine) / network.id[:16]),
    }
    script = str(Path(lamina_runtime.__file__).parent / "keep.py")
    words = [sys.executable, "-I", "-S", script, json.dumps(task)]
    rights = f"{capabilities.mask(['CAP_NET_ADMIN']):x}"
    rows += [Record(Op.CWD, "/"), Record(Op.IDS, 0, 0, ""), Record(Op.NO_NEW_PRIVS), Record(Op.STDIO)]
    rows.append(Record(Op.CAPABILITIES, rights, rights, rights, "0", "0"))
    return [*rows, *(Record(Op.ARG, word) for word in words)]


def _helper(network: Network) -> list[str]:
    """Return slirp4netns's command: its device becomes a port of the keeper's bridge."""
    program = shutil.which("slirp4netns")
    if not program or not os.access(TUN, os.R_OK | os.W_OK):
        logging.getLogger(__name__).info("no slirp4netns: the network %s has no way out", network.name)
        return []
    words = [program, "--enable-sandbox", "--enable-seccomp", "--mtu=65520", "--disable-host-loopback"]
    return [*words, f"--cidr={network.subnet}", "--ready-fd=3", "--exit-fd=4", "{pid}", "tap0"]


def _shared(engine: Engine) -> int:
    """Return a process of the user namespace that the networks share, 0 where no network is kept."""
    for network in every(engine):
        held = connection(engine, network)
        if held is not None:
            with held:
                return peer(held)
    return 0


def remove(engine: Engine, word: str) -> Network:
    """Remove a network that nobody is on."""
    with changing(engine):
        network = find(engine, word)
        present = members(engine, network)
        if present:
            names = ", ".join(row["names"][0] for row in present)
            raise InUseError(
                f"error while removing network: network {network.name} id {network.id} has active endpoints",
                details=names,
            )
        files.remove(folder(engine) / network.name / "network.json")
        files.remove_tree(folder(engine) / network.name)
        return network
