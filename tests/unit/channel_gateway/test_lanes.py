"""Lanes: concurrency, rate, holds and retries of one account, in times that the test sets."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from services.channel_gateway.domain.model import AccountState, Job
from services.channel_gateway.worker.lanes import EVERYBODY, Lane
from tests.unit.channel_gateway.build import account, job


def jobs(lane: Lane, count: int) -> None:
    for number in range(count):
        lane.add(job(effect_key=UUID(int=number)))


def numbers(lane: Lane, now_s: float, most: int = 100) -> list[int]:
    return [taken.effect_key.int for taken in lane.collect(now_s, most)]


def test_no_more_than_the_concurrency_is_in_flight() -> None:
    lane = Lane(account(concurrency_max=3, rate_per_second=10_000), 0.0)
    jobs(lane, 5)
    assert numbers(lane, 0.0) == [0, 1, 2]
    assert numbers(lane, 1.0) == []
    lane.in_flight -= 1
    assert numbers(lane, 2.0) == [3]


def test_the_rate_holds_over_time() -> None:
    lane = Lane(account(concurrency_max=256, rate_per_second=40), 0.0)
    jobs(lane, 250)
    left = 0
    for tick in range(101):
        left += len(lane.collect(tick * 0.01, 100))
        lane.in_flight = 0
    assert 40 <= left <= 43, "a second's worth and the burst"
    wait = lane.next_s(1.0)
    assert wait is not None
    assert 0 < wait <= 1 / 40


def test_a_held_account_lets_nothing_leave() -> None:
    lane = Lane(account(), 0.0)
    jobs(lane, 1)
    lane.hold(5.0)
    assert numbers(lane, 4.9) == []
    assert lane.next_s(4.0) == pytest.approx(1.0)
    assert numbers(lane, 5.0) == [0]


def test_later_sends_come_when_due() -> None:
    lane = Lane(account(), 0.0)
    lane.add_later(job(effect_key=UUID(int=2)), 2.0)
    lane.add_later(job(effect_key=UUID(int=1)), 1.0)
    assert len(lane) == 2
    assert lane.next_s(0.0) == pytest.approx(1.0)
    assert numbers(lane, 1.5) == [1]
    assert numbers(lane, 2.0) == [2]
    assert lane.next_s(2.0) is None


def test_a_changed_rate_takes_effect() -> None:
    lane = Lane(account(rate_per_second=1), 0.0)
    jobs(lane, 4)
    assert numbers(lane, 0.0) == [0]
    assert numbers(lane, 0.1) == []
    lane.update(msgspec.structs.replace(account(), rate_per_second=1_000), 0.1)
    assert numbers(lane, 0.1) == [1, 2, 3]


def test_a_claim_finds_room_only_where_nothing_waits() -> None:
    lane = Lane(account(concurrency_max=2, rate_per_second=10_000), 0.0)
    assert [lane.claim(0.0, "anna", at_once=False) for _ in range(3)] == [True, True, False]
    lane.give_up()
    jobs(lane, 1)
    assert not lane.claim(0.0, "anna", at_once=False), "what waits goes first"
    assert numbers(lane, 0.0) == [0]
    lane.in_flight = 0
    lane.add_later(job(), 1.0)
    assert lane.claim(0.5, "anna", at_once=False)
    assert not lane.claim(1.0, "anna", at_once=False), "what is due again goes first"


def test_claims_keep_the_rate_and_holds_whatever_may_be_in_flight() -> None:
    lane = Lane(account(concurrency_max=1, rate_per_second=100), 0.0)
    assert [lane.claim(0.0, "anna", at_once=True) for _ in range(6)] == [True] * 5 + [False], "the burst"
    lane.give_up()
    assert lane.claim(0.0, "anna", at_once=True), "a claim given up is there again"
    lane.hold(5.0)
    assert not lane.claim(4.0, "anna", at_once=True)
    assert lane.in_flight == 5


@pytest.mark.rule("C-02d")
def test_what_waits_for_an_account_that_was_disabled_waits_for_no_rate() -> None:
    lane = Lane(account(rate_per_second=1), 0.0)
    jobs(lane, 5)
    assert numbers(lane, 0.0) == [0]
    lane.update(account(rate_per_second=1, state=AccountState.DISABLED), 0.0)
    assert lane.next_s(0.0) == 0.0
    assert numbers(lane, 0.0, most=3) == [1, 2, 3]
    assert numbers(lane, 0.0) == [4]
    assert lane.next_s(0.0) is None


@pytest.mark.rule("C-02d")
def test_nothing_leaves_without_a_share_or_after_its_time() -> None:
    lane = Lane(account(concurrency_max=256, rate_per_second=40), 0.0)
    lane.lose_share()
    jobs(lane, 100)
    assert (numbers(lane, 0.0), lane.next_s(0.0)) == ([], None)
    lane.take_share(0.0, 2.0, 0.0)
    assert (numbers(lane, 1.0), lane.has_share(1.0), lane.share_at(1.0)) == ([], True, 0.0)
    lane.take_share(10.0, 4.0, 1.0)
    assert numbers(lane, 1.0) == [], "nothing is saved up of what others had"
    assert numbers(lane, 1.1) == [0]
    left = sum(len(numbers(lane, 1.1 + tick * 0.01)) for tick in range(1, 289))
    assert 26 <= left <= 29
    assert (numbers(lane, 4.0), lane.share_at(4.0)) == ([], 0.0)


def to(recipient: str, number: int, **changes: object) -> Job:
    """A send of a journey of its own."""
    ids = {"effect_key": UUID(int=number), "journey_id": UUID(int=number)}
    return job(recipient=recipient, **ids, **changes)


def paced_lane() -> Lane:
    """Anna got too much: her first send was refused, two more wait for her, and between them one for Ben."""
    lane = Lane(account(concurrency_max=100, rate_per_second=10_000), 0.0)
    first, others = to("anna", 1, began_s=0.0), [to("anna", 2), to("ben", 3), to("anna", 4)]
    lane.add(first)
    for each in others:
        lane.add(each)
    assert lane.collect(0.0, 1) == [first]
    lane.in_flight = 0
    lane.pace("anna", 4.0, 0.0)
    return lane


def test_sends_to_one_person_wait_in_their_order_and_nobody_elses_do() -> None:
    lane = paced_lane()
    assert numbers(lane, 0.0) == [3]
    assert not lane.claim(0.0, "anna", at_once=False)
    assert lane.claim(0.0, "ben", at_once=False)
    lane.add_later(to("anna", 1, began_s=0.0), 4.1)  # noted meanwhile, behind those that were never tried
    lane.add(to("anna", 5))
    assert len(lane) == 4
    assert numbers(lane, 4.0) == [], "its own time has not come"
    assert lane.next_s(4.0) == pytest.approx(0.1)
    left = [(at, each) for at in range(4, 40) for each in numbers(lane, at + 0.1)]
    assert left == [(4, 1), (10, 2), (16, 4), (22, 5)], "one every six seconds"
    assert lane.next_s(40.0) is None
    lane.in_flight = 0
    assert [lane.claim(40.0, "anna", at_once=False) for _ in range(2)] == [True, True], (
        "and is as all others again"
    )


def test_who_is_paced_again_waits_again() -> None:
    lane = paced_lane()
    lane.add_later(to("anna", 1, began_s=0.0), 4.0)
    assert numbers(lane, 4.0) == [1, 3]
    lane.pace("anna", 16.0, 4.5)
    lane.add_later(to("anna", 1, began_s=0.0), 20.5)
    assert numbers(lane, 20.0) == []
    assert numbers(lane, 20.5) == [1]


def test_what_waits_for_a_person_fails_with_its_account_and_obeys_its_rate_and_holds() -> None:
    lane = paced_lane()
    assert numbers(lane, 0.0) == [3]
    lane.hold(30.0)
    assert numbers(lane, 20.0) == []
    assert lane.next_s(20.0) == pytest.approx(10.0)
    lane.update(msgspec.structs.replace(account(), state=AccountState.UNUSABLE), 20.0)
    assert lane.next_s(20.0) == 0.0
    assert numbers(lane, 20.0) == [2, 4]
    assert len(lane) == 0


@pytest.mark.rule("C-02d")
def test_what_a_channel_asks_of_one_process_is_handed_to_the_others_once() -> None:
    lane = paced_lane()
    assert numbers(lane, 0.0) == [3]
    lane.hold(30.0)
    assert lane.unshared(10) == {"anna": 4.0, EVERYBODY: 30.0}
    assert len(lane.unshared(1)) == 1
    holds = lane.unshared(10)
    lane.hold(40.0)
    lane.shared(holds)
    assert lane.unshared(10) == {EVERYBODY: 40.0}, "what came meanwhile is still to be told"
    lane.shared(lane.unshared(10))
    assert lane.unshared(10) == {}
    assert numbers(lane, 40.0) == [2]
    assert lane.unshared(10) == {"anna": 46.0}, "she is sent to one by one, whoever sends"


@pytest.mark.rule("C-02d")
def test_what_other_processes_were_asked_holds_here_and_is_not_told_again() -> None:
    lane = Lane(account(concurrency_max=100, rate_per_second=10_000), 0.0)
    lane.add(to("anna", 1))
    lane.add(to("ben", 2))
    lane.learn_holds({"anna": 5.0, "carl": 5.0}, 0.0)
    assert numbers(lane, 0.0) == [2]
    assert not lane.claim(4.0, "carl", at_once=False)
    assert lane.next_s(4.0) == pytest.approx(1.0)
    lane.learn_holds({EVERYBODY: 9.0}, 5.0)
    assert numbers(lane, 5.0) == []
    assert lane.next_s(5.0) == pytest.approx(4.0)
    lane.learn_holds({EVERYBODY: 8.0}, 6.0)
    assert numbers(lane, 8.5) == [], "a later word is not an earlier end"
    assert numbers(lane, 9.0) == [1]
    assert lane.claim(9.0, "carl", at_once=False)
    assert lane.unshared(10) == {"anna": 15.0}
