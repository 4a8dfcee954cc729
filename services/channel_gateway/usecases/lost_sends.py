"""Finds the sends that journeys await in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libs.common.ids import partition_of
from services.channel_gateway.domain.model import AwaitedSend
from services.channel_gateway.store.lost_sends import LostSendStore


class LostSends:
    """Answers journeys that ask what became of sends (ADR 29)."""

    def __init__(self, store: LostSendStore, is_behind: Callable[[int], bool]) -> None:
        """`is_behind` says of a partition whether outcomes of its customers are still to be delivered."""
        self._store = store
        self._is_behind = is_behind

    async def find(self, sends: Sequence[AwaitedSend]) -> list[int]:
        """Places among `sends` of those that are lost, rising. Whoever has outcomes on their way waits for these."""
        places = [
            place
            for place, send in enumerate(sends)
            if not self._is_behind(partition_of(send.team_id, send.customer_id))
        ]
        if not places:
            return []
        return [places[found] for found in await self._store.find([sends[place] for place in places])]
