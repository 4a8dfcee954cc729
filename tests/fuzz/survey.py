"""Asks everything that can be read of a team, so that cases may use what is there."""

import random
from typing import Any, Final

from google.protobuf.message import Message

from tests.fuzz import calls
from tests.fuzz.pools import Pools
from tests.fuzz.rpcs import Rpc
from tests.fuzz.valid import Maker
from tests.fuzz.world import World

ROUNDS: Final = 2
PAGE: Final = 3
TOKENS_KEPT: Final = 5
_NOT_ASKED: Final = frozenset({"CheckLedger", "CheckProjections", "WaitOperation"})


async def survey(world: World, pools: Pools, seed: int) -> None:
    """Adds what the answers show."""
    rng = random.Random(f"survey {seed}")
    for _ in range(ROUNDS):
        for rpc in world.rpcs:
            if rpc.implemented and rpc.is_read and not rpc.is_internal and rpc.method.name not in _NOT_ASKED:
                await _ask(world, pools, rpc, rng)


async def _ask(world: World, pools: Pools, rpc: Rpc, rng: random.Random) -> None:
    request = _plain(Maker(rng, pools), rpc)
    answer = await calls.make(world.channel(rpc), rpc, [request.SerializeToString()], deadline_s=10)
    for message in answer.answers[:20]:
        pools.learn(message)
        token = getattr(message, "next_page_token", "")
        if token:
            held = pools.tokens[rpc.full_name]
            if len(held) < TOKENS_KEPT:
                held.append(_second_page(request, token))


def _plain(maker: Maker, rpc: Rpc) -> Any:
    """What is required, and some of what else names a thing: filters find little."""
    request: Any = rpc.asked()
    for described in rpc.method.input_type.fields:
        if maker.is_needed(described) or (maker.knows(described) and maker.rng.random() < 0.4):
            maker.fill(request, described, 1)
    if "page_size" in request.DESCRIPTOR.fields_by_name:
        request.page_size = PAGE
    return request


def _second_page(request: Message, token: str) -> Message:
    """The same request for the page after."""
    following: Any = type(request)()
    following.CopyFrom(request)
    following.page_token = token
    made: Message = following
    return made
