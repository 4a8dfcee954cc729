"""Who waits for which facts: commits of other kinds wake nobody in vain."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from weakref import WeakValueDictionary

from libs.common.db.history import HistoryBell


class Bells:
    """A bell for each set of tags of facts that somebody waits for, as long as they hold it."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._bells: WeakValueDictionary[frozenset[int] | None, HistoryBell] = WeakValueDictionary()

    def of(self, tags: frozenset[int] | None) -> HistoryBell:
        """The bell that rings for facts with any of the tags; None: for all."""
        bell = self._bells.get(tags)
        if bell is None:
            bell = self._bells[tags] = HistoryBell()
        return bell

    def ring(self, tags: AbstractSet[int]) -> None:
        """Facts with these tags were committed."""
        for wanted, bell in list(self._bells.items()):
            if wanted is None or not wanted.isdisjoint(tags):
                bell.ring()
