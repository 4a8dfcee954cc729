"""After a commit: mail to the relay, the commit to those who wait, the work to the progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.publisher import CommitPublisher, ranges_of
from libs.common.mailbox.mail import Mail
from libs.common.rpc.operations import Progress


class Relay:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.ranges: list[Mapping[int, tuple[int, int]] | None] = []

    def submit(self, mails: Sequence[Mail], ranges: Mapping[int, tuple[int, int]] | None = None) -> None:
        self.ranges.append(ranges)


class CountedProgress(Progress):
    """Counts in plain sight."""

    handled = 0

    def add(self, count: int = 1) -> None:
        self.handled += count


@pytest.fixture
def relay() -> Relay:
    return Relay()


def test_a_commit_with_rows_goes_to_the_relay_and_to_those_who_wait(relay: Relay) -> None:
    notifier, progress = CommitNotifier(), CountedProgress()
    CommitPublisher(relay, notifier.notify, progress).publish([], {3: (7, 9), 5: (1, 1)})
    assert relay.ranges == [{3: (7, 9), 5: (1, 1)}]
    assert notifier.commits == 1
    assert progress.handled == 4


def test_a_commit_without_rows_is_work_and_nothing_else(relay: Relay) -> None:
    notifier, progress = CommitNotifier(), CountedProgress()
    CommitPublisher(relay, notifier.notify, progress).publish([], {}, handled=2)
    assert relay.ranges == []
    assert notifier.commits == 0
    assert progress.handled == 2


def test_a_commit_may_wake_those_only_who_wait_for_its_rows(relay: Relay) -> None:
    everyone, few = CommitNotifier(), CommitNotifier()
    CommitPublisher(relay, everyone.notify, Progress()).publish([], {0: (1, 1)}, notify=few.notify)
    assert (everyone.commits, few.commits) == (0, 1)


def test_ranges_cover_all_rows_of_a_partition() -> None:
    assert ranges_of([(1, 5), (2, 8), (1, 4), (1, 6)]) == {1: (4, 6), 2: (8, 8)}
    assert ranges_of([]) == {}
