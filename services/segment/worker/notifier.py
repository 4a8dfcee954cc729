"""Who waits for which facts: commits of other kinds wake nobody in vain."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from weakref import WeakValueDictionary

from libs.common.feeds.notifier import CommitNotifier


class FactNotifiers:
    """A notifier for each set of tags of facts that somebody waits for, as long as they hold it."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._notifiers: WeakValueDictionary[frozenset[int] | None, CommitNotifier] = WeakValueDictionary()

    def of(self, tags: frozenset[int] | None) -> CommitNotifier:
        """The notifier of facts with any of the tags; None: for all."""
        notifier = self._notifiers.get(tags)
        if notifier is None:
            notifier = self._notifiers[tags] = CommitNotifier()
        return notifier

    def notify(self, tags: AbstractSet[int]) -> None:
        """Facts with these tags were committed."""
        for wanted, notifier in list(self._notifiers.items()):
            if wanted is None or not wanted.isdisjoint(tags):
                notifier.notify()
