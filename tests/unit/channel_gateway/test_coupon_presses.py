"""Presses of coupons' buttons: whose they are, and what is done where something is away or refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from libs.common.errors import Unavailable
from omnijourney.segment.v1 import customer_pb2, event_pb2
from services.channel_gateway.clients.coupons import ClaimRefusedError
from services.channel_gateway.convert.coupon_presses import presses_of
from services.channel_gateway.domain.content import TextContent
from services.channel_gateway.domain.coupon_presses import CouponPress, Waiting, claim_data, coupon_of
from services.channel_gateway.domain.model import Reason, Send, SendAnswer, SendState
from services.channel_gateway.worker.coupon_presses import TRIES_MAX, CouponPresses
from tests.unit.channel_gateway.build import ACCOUNT, CUSTOMER, TEAM

COUPON, KEY = UUID(int=50), UUID(int=51)
PRESS = CouponPress(UUID(int=52), ACCOUNT, 1, "U1", CUSTOMER, COUPON, KEY)


def pressed(key: str, data: str, effect_key: str = "", who: str = "U1") -> event_pb2.CustomerEvent:
    """What segment is told of a press."""
    identity = customer_pb2.IdentityKey(channel=1, account_id=str(ACCOUNT), external_id=who)  # type: ignore[arg-type]  # a number of the contract
    message = event_pb2.MessageReceived(identity=identity, button_data=data, effect_key=effect_key)
    return event_pb2.CustomerEvent(team_id=str(TEAM), event_key=key, message_received=message)


def found(*events: event_pb2.CustomerEvent, customer: str = str(CUSTOMER)) -> list[CouponPress]:
    """The presses among events."""
    return list(presses_of(TEAM, [(event, customer) for event in events]))


def test_a_press_is_known_by_its_event_and_an_offer_by_its_message() -> None:
    data = claim_data(str(COUPON))
    first, again, other = found(
        pressed("e1", data, str(KEY)), pressed("e1", data, str(KEY)), pressed("e2", data, str(KEY))
    )
    assert first == again
    assert first.press_id != other.press_id
    assert (first.coupon_id, first.offer_id, other.offer_id) == (COUPON, KEY, KEY)


def test_a_button_that_says_no_message_is_one_offer_for_each_person() -> None:
    data = claim_data(str(COUPON))
    mine, again, others = found(pressed("e1", data), pressed("e2", data), pressed("e3", data, who="U2"))
    assert mine.offer_id == again.offer_id != others.offer_id


@pytest.mark.parametrize("data", ["", "a=1", "c=claim&coupon=x", f"c=claim&coupon={COUPON}&x=1"])
def test_other_buttons_are_no_coupons(data: str) -> None:
    assert coupon_of(data) is None
    assert found(pressed("e1", data)) == []


def test_what_segment_refused_is_of_nobody() -> None:
    assert found(pressed("e1", claim_data(str(COUPON))), customer="") == []


class Kept:
    """Presses in memory."""

    def __init__(self, tries: int = 0) -> None:
        self.waiting = {PRESS.press_id: Waiting(PRESS, tries)}
        self.put_offs: list[tuple[timedelta | None, str]] = []

    async def keep(self, team_id: UUID, presses: Sequence[CouponPress]) -> None:
        raise AssertionError("nothing comes in")

    async def due_teams(self, most: int) -> list[UUID]:
        return [TEAM] if self.waiting else []

    async def due(self, team_id: UUID, most: int) -> list[Waiting]:
        return list(self.waiting.values())

    async def done(self, team_id: UUID, press_id: UUID) -> None:
        del self.waiting[press_id]

    async def put_off(self, team_id: UUID, press_id: UUID, wait: timedelta | None, reason: str) -> None:
        self.put_offs.append((wait, reason))


class Points:
    """Claims as a test says."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer

    async def claim(self, team_id: UUID, press: CouponPress) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Sends:
    """Sends are taken, or not."""

    def __init__(self, answer: SendAnswer | Exception) -> None:
        self.answer = answer
        self.asked: list[Send] = []

    async def send(self, sends: Sequence[Send]) -> list[SendAnswer]:
        self.asked += sends
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer]


TAKEN = SendAnswer(SendState.ACCEPTED, messages=1)


async def worked(kept: Kept, answer: str | Exception, taken: SendAnswer | Exception = TAKEN) -> list[Send]:
    """What was asked to be sent."""
    sends = Sends(taken)
    presence = cast("Any", SimpleNamespace(is_forwarder=True, inbox_woken=asyncio.Event()))
    assert await CouponPresses(kept, Points(answer), sends, presence).step()
    return sends.asked


async def test_the_answer_is_sent_to_who_pressed_under_the_key_of_the_press() -> None:
    kept = Kept()
    [send] = await worked(kept, "ABCD")
    assert (send.effect_key, send.customer_id, send.account_id) == (PRESS.press_id, CUSTOMER, ACCOUNT)
    assert (send.content, send.recipient and send.recipient.external_id) == (TextContent("ABCD"), "U1")
    assert not kept.waiting


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        (ClaimRefusedError("COUPON_NOT_CLAIMABLE EXPIRED"), TAKEN),
        ("ABCD", SendAnswer(SendState.SKIPPED, Reason.OPTED_OUT)),
    ],
)
async def test_who_can_get_no_answer_is_not_tried_again(answer: str | Exception, taken: SendAnswer) -> None:
    kept = Kept()
    await worked(kept, answer, taken)
    assert (kept.waiting, kept.put_offs) == ({}, [])


@pytest.mark.parametrize("away", ["points", "sends"])
async def test_what_is_away_is_waited_for_and_not_for_ever(away: str) -> None:
    error = Unavailable.dependency(away)
    answer, taken = (error, TAKEN) if away == "points" else ("ABCD", error)
    for tries, again in ((0, True), (TRIES_MAX - 1, False)):
        kept = Kept(tries)
        await worked(kept, answer, taken)
        [(wait, reason)] = kept.put_offs
        assert (wait is not None, PRESS.press_id in kept.waiting) == (again, True)
        assert away in reason


async def test_what_fails_in_an_unforeseen_way_is_set_aside() -> None:
    kept = Kept()
    await worked(kept, ValueError("spoilt"))
    assert kept.put_offs == [(None, "ValueError('spoilt')")]


class Slow(Points):
    """Of one team the claims wait."""

    def __init__(self, team_id: UUID) -> None:
        super().__init__("ABCD")
        self.slow, self.quick_done = team_id, asyncio.Event()

    async def claim(self, team_id: UUID, press: CouponPress) -> str:
        if team_id == self.slow:
            await self.quick_done.wait()
        else:
            self.quick_done.set()
        return await super().claim(team_id, press)


async def test_a_team_whose_claims_are_slow_does_not_hold_up_another() -> None:
    slow, quick = TEAM, UUID(int=99)

    class Two(Kept):
        """A press of each team."""

        def __init__(self) -> None:
            super().__init__()
            self.of = {slow: dict(self.waiting), quick: dict(self.waiting)}

        async def due_teams(self, most: int) -> list[UUID]:
            return [team_id for team_id, waiting in self.of.items() if waiting]

        async def due(self, team_id: UUID, most: int) -> list[Waiting]:
            return list(self.of[team_id].values())

        async def done(self, team_id: UUID, press_id: UUID) -> None:
            del self.of[team_id][press_id]

    kept = Two()
    presses = CouponPresses(kept, Slow(slow), Sends(TAKEN), cast("Any", SimpleNamespace(is_forwarder=True)))
    async with asyncio.timeout(10):
        assert await presses.step()
    assert kept.of == {slow: {}, quick: {}}
