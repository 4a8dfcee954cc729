"""Free ports on loopback, each handed out to one process of the machine at a time."""

import atexit
import errno
import secrets
import socket

LOOPBACK = "127.0.0.1"
# Below the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux, 49152
# and up elsewhere): a port found free here is not taken by a client connection while the server that is to
# own it starts, or is started again.
_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES_MAX = 2_000

# By port, what tells other processes that it is handed out, from the moment it is chosen and while its server
# is down: the UDP port of the same number, which nobody else uses here. The kernel frees it with this process.
_handed_out: dict[int, socket.socket] = {}


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` now.

    Errors: OSError when `host` is no address of this machine or the port is privileged.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def free_port(host: str = LOOPBACK) -> int:
    """A port on which nobody listens and which neither this process nor another that lives has been handed.

    Errors: OSError when none is found.
    """
    for _ in range(_TRIES_MAX):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port not in _handed_out and is_free(port, host) and _reserve(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port between {_LOWEST} and {_HIGHEST} on {host}")


def _reserve(port: int) -> bool:
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        held.bind((LOOPBACK, port))
    except OSError:
        held.close()
        return False
    _handed_out[port] = held
    return True


@atexit.register
def _give_back() -> None:
    for held in _handed_out.values():
        held.close()
