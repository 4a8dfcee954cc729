"""Hosts on one machine: network namespaces on a bridge, whose links can be cut. Only root may make them."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final

_IP: Final = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin") or "ip"
_BRIDGE: Final = "oj-bridge"
_NET: Final = "10.77.0"
OPERATOR: Final = f"{_NET}.1"
"""Our own address among the hosts."""
_FIRST: Final = 11


def why_not() -> str:
    """Why hosts cannot be had here; empty: they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which(_IP) is None:
        return "network namespaces need the command ip"
    tried = _ip("netns", "add", "oj-try", check=False)
    _ip("netns", "delete", "oj-try", check=False)
    return tried.stderr.strip()


class Host:
    """One of them."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.address = f"{_NET}.{_FIRST + number}"
        self.namespace = f"oj-{name}"
        self.link = f"oj-{name}"[:15]
        """Its end on the bridge."""

    def command(self, program: Sequence[str]) -> list[str]:
        """The command line that runs a program there, in the same process."""
        return [_IP, "netns", "exec", self.namespace, *program]

    def cut(self) -> None:
        """It hears nobody, and nobody hears it."""
        _ip("link", "set", self.link, "down")

    def heal(self) -> None:
        """Undoes `cut`."""
        _ip("link", "set", self.link, "up")

    def send(self, number: signal.Signals) -> int:
        """Sends a signal to everything that runs there; how many."""
        found = [int(pid) for pid in _ip("netns", "pids", self.namespace).stdout.split()]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(found)


@contextlib.contextmanager
def hosts(names: Sequence[str]) -> Iterator[list[Host]]:
    """Hosts that reach each other and us; at the end they are gone with all that runs on them."""
    made = [Host(name, number) for number, name in enumerate(names)]
    _remove(made)
    try:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("address", "add", f"{OPERATOR}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for host in made:
            _ip("netns", "add", host.namespace)
            _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            _ip("link", "set", host.link, "master", _BRIDGE, "up")
            within = ("-n", host.namespace)
            _ip(*within, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip(*within, "link", "set", "eth0", "up")
            _ip(*within, "link", "set", "lo", "up")
        yield made
    finally:
        _remove(made)


def _remove(made: Sequence[Host]) -> None:
    """Also what a run that was killed has left."""
    there = _ip("netns", "list", check=False).stdout
    for host in made:
        if host.namespace in there.split():
            host.send(signal.SIGKILL)
            _ip("netns", "delete", host.namespace)
    _ip("link", "delete", _BRIDGE, check=False)


def _ip(*words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([_IP, *words], capture_output=True, text=True, timeout=20, check=False)
    if check and done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done
