"""Others that do the work of w1, on the same machine in the same run, where they are installed (`make bench-peers`).

The product needs none of them, and neither does the bench: each runs in a directory of its own (`build/peers`), by the
scripts beside this file, and is left out with the reason where it is not there.
"""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from bench.peers import by_arq, by_restate
from bench.peers.load import Peer
from bench.peers.place import NotInstalledError

__all__ = ["RATE_MAX_PER_S", "Peer", "measured"]

RATE_MAX_PER_S: Final = 100
"""Higher rates are not offered to them."""
COUNT_MAX: Final = 5_000
"""More journeys tell no more of them."""
Measure = Callable[[Path, int, Sequence[int]], Awaitable[Peer]]
_PEERS: Final[dict[str, Measure]] = {
    "Restate, mailbox blocked while asleep": by_restate.blocked,
    "Restate, mailbox free (as ours)": by_restate.free,
    "arq and PostgreSQL by hand": by_arq.measured,
}


async def measured(count: int, rates_per_s: Sequence[int]) -> list[Peer]:
    """All of them, one after the other."""
    return [await _one(name, measure, count, rates_per_s) for name, measure in _PEERS.items()]


async def _one(name: str, measure: Measure, count: int, rates_per_s: Sequence[int]) -> Peer:
    rates = [rate for rate in rates_per_s if rate <= RATE_MAX_PER_S]
    with tempfile.TemporaryDirectory(prefix="omnijourney-peer-") as directory:
        try:
            return await measure(Path(directory), min(count, COUNT_MAX), rates)
        except NotInstalledError as missing:
            return Peer(name, str(missing))
