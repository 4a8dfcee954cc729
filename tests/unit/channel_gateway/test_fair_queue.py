"""Journeys take turns in an account's lane, and accounts in a process; what one person gets keeps its order."""

from __future__ import annotations

from uuid import UUID

import pytest

from services.channel_gateway.domain.model import Job
from services.channel_gateway.worker.fair_queue import FairQueue
from services.channel_gateway.worker.queue import SendQueue
from tests.unit.channel_gateway.build import account, job

BROADCAST, WELCOME, BIRTHDAY = (UUID(int=900 + number) for number in range(3))


def to(number: int, journey_id: UUID, *, recipient: str = "") -> Job:
    made = job(effect_key=UUID(int=number))
    made.journey_id, made.recipient = journey_id, recipient or f"person {number}"
    return made


@pytest.mark.rule("C-02e")
def test_a_journey_waits_for_one_round_however_long_anothers_line_is() -> None:
    queue = FairQueue()
    for number in range(1_000):
        queue.add(to(number, BROADCAST))
    left = [queue.take().effect_key.int for _ in range(3)]
    queue.add(to(5_000, WELCOME))
    queue.add(to(6_000, BIRTHDAY))
    queue.add(to(6_001, BIRTHDAY))
    left += [queue.take().effect_key.int for _ in range(6)]
    assert left == [0, 1, 2, 3, 5_000, 6_000, 4, 6_001, 5]
    assert len(queue) == 994
    assert [queue.take().effect_key.int for _ in range(994)] == list(range(6, 1_000))
    with pytest.raises(IndexError):
        queue.take()


@pytest.mark.rule("C-02e")
def test_a_person_gets_messages_in_the_order_in_which_they_came() -> None:
    queue = FairQueue()
    for number in range(100):
        queue.add(to(number, BROADCAST))
    queue.add(to(500, WELCOME, recipient="person 70"))
    queue.add(to(501, WELCOME, recipient="person 71"))
    left = [queue.take().effect_key.int for _ in range(102)]
    assert left[:8] == [0, 70, 1, 500, 2, 71, 3, 501]
    assert sorted(left) == [*range(100), 500, 501]
    assert left.index(70) < left.index(500)


def test_a_send_that_left_early_may_wait_again_for_a_retry() -> None:
    queue = FairQueue()
    first, early = to(1, BROADCAST), to(2, BROADCAST)
    queue.add(first)
    queue.add(early)
    queue.add(to(3, WELCOME, recipient=early.recipient))
    assert [queue.take(), queue.take()] == [first, early]
    queue.add(early)
    assert [queue.take().effect_key.int for _ in range(len(queue))] == [3, 2]


@pytest.mark.rule("C-02e")
def test_a_teams_full_lane_leaves_a_batch_to_the_others() -> None:
    queue = SendQueue(lane_max=1_000, at_once=lambda _: False)
    busy, quiet = (
        account(team_id=UUID(int=team), concurrency_max=256, rate_per_second=10_000) for team in (1, 2)
    )
    for number in range(40):
        sent = to(number, BROADCAST)
        sent.team_id, sent.account_id = busy.team_id, busy.account_id
        queue.offer([sent], [busy])
    other = to(500, WELCOME)
    other.team_id, other.account_id = quiet.team_id, quiet.account_id
    queue.offer([other], [quiet])
    assert [sent.effect_key.int for _, sent in queue.collect(10)] == list(range(10))
    assert [sent.effect_key.int for _, sent in queue.collect(10)] == [500, *range(10, 19)]
