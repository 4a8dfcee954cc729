"""Cases by seed and number: a good request of an RPC, spoilt as a message or as bytes, sent once or twice."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from tests.fuzz.mutate import Mutator, spoil_bytes
from tests.fuzz.pools import Pools
from tests.fuzz.rpcs import Rpc
from tests.fuzz.valid import Maker

GOOD, AS_BYTES, DOUBLED = 0.22, 0.12, 0.10
"""Shares of the cases: left as they are, spoilt as bytes, sent twice (half of these with other content)."""
BY_TEAM: Final = 0.8
"""Share of the calls that the team's own client makes, where it may."""
UNIMPLEMENTED_WEIGHT: Final = 0.08
HEAVY: Final = frozenset({"CheckLedger", "CheckProjections"})
"""Read whole tables: called less often."""
HEAVY_WEIGHT: Final = 0.15
NO_WORKER: Final = "nobody"
"""Named in place of a worker that runs: one that is drained works no more, as asked, and so nothing could be seen."""


@dataclass(frozen=True)
class Case:
    """What is sent."""

    number: int
    rpc: Rpc
    calls: Sequence[Sequence[bytes]]
    """Parts of each call, in order; one part unless the client streams."""
    said: Sequence[str]
    """What was spoilt."""
    waits: bool
    """Asks for a long poll."""
    by_team: bool
    """Shows the token of the team's own client, not the installation's."""


class Cases:
    """Makes them for one state of a world."""

    def __init__(self, seed: int, rpcs: Sequence[Rpc], own: Pools, foreign: Pools) -> None:
        self._seed = seed
        self._rpcs = rpcs
        self._weights = [_weight(rpc) for rpc in rpcs]
        self._own = own
        self._foreign = foreign

    def case(self, number: int) -> Case:
        """The case of a number: the same for the same seed and pools."""
        rng = random.Random(f"case {self._seed} {number}")
        # In turn, so that each is met; then by weight.
        rpc = rng.choices(self._rpcs, self._weights)[0]
        if number % 3 == 0:
            rpc = self._rpcs[number // 3 % len(self._rpcs)]
        maker = Maker(rng, self._own)
        mutator = Mutator(rng, maker, self._own, self._foreign)
        requests = [maker.request(rpc) for _ in range(_parts(rng, rpc))]
        for following in requests[1:]:  # pieces of one file: the first one names it
            following.ClearField("csv" if rng.random() < 0.7 else "request_id")
        said = self._spoil(rng, rpc, mutator, requests)
        _spare_workers(rpc, requests)
        parts = [request.SerializeToString() for request in requests]
        if parts and rng.random() < AS_BYTES:
            index = rng.randrange(len(parts))
            parts[index], what = spoil_bytes(rng, parts[index])
            said.append(what)
        calls = [parts]
        if rng.random() < DOUBLED:
            said.append("sent twice")
            calls.append(parts if rng.random() < 0.5 else self._other(maker, rpc, requests))
        by_team = rpc.names_team and rng.random() < BY_TEAM
        return Case(number, rpc, calls, said, any(map(_waits, requests)), by_team)

    def _spoil(
        self, rng: random.Random, rpc: Rpc, mutator: Mutator, requests: Sequence[Message]
    ) -> list[str]:
        good = rng.random() < GOOD
        if good or not requests:
            return []
        return mutator.spoil(rng.choice(requests))

    def _other(self, maker: Maker, rpc: Rpc, requests: Sequence[Message]) -> list[bytes]:
        """Other content under the same request id."""
        made: list[bytes] = []
        for request in requests:
            other: Any = maker.request(rpc)
            if "request_id" in other.DESCRIPTOR.fields_by_name:
                other.request_id = getattr(request, "request_id")  # noqa: B009
            _spare_workers(rpc, [other])
            made.append(other.SerializeToString())
        return made


def _weight(rpc: Rpc) -> float:
    if not rpc.implemented:
        return UNIMPLEMENTED_WEIGHT
    return HEAVY_WEIGHT if rpc.method.name in HEAVY else 1.0 if rpc.is_read else 1.5


def _parts(rng: random.Random, rpc: Rpc) -> int:
    return rng.choice((0, 1, 1, 1, 2, 30)) if rpc.method.client_streaming else 1


def _spare_workers(rpc: Rpc, requests: Sequence[Any]) -> None:
    for request in requests if rpc.method.name == "DrainWorker" else ():
        if request.worker_id:
            request.worker_id = NO_WORKER + request.worker_id[:200]


def _waits(request: Any) -> bool:
    described = request.DESCRIPTOR.fields_by_name.get("wait")
    return described is not None and bool(request.HasField("wait"))
