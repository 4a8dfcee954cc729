"""Others that do the work of w1, on the same machine in the same run, where they are installed (`make bench-peers`).

None of them is needed by the product, and nothing here is: each is started from a directory of its own by the scripts
beside this file.
"""

from typing import Final

import msgspec

from bench.welcome import Latency

RATE_MAX_PER_S: Final = 300
"""Higher ones are not offered to them."""


class Peer(msgspec.Struct, frozen=True):
    """What one of them did; `skipped`: why it was not measured."""

    name: str
    skipped: str = ""
    rate_per_s: float = 0.0
    cpu_s_per_1000: float = 0.0
    latencies: list[Latency] = []
