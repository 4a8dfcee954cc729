"""What customers write and press: mail to their journeys, once, and kept for a time."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from libs.common.db.pool import open_pool
from libs.common.ids import new_id, partition_of
from libs.common.mailbox import mail as m
from omnijourney.segment.v1 import event_pb2
from services.segment.store.texts import TextStore
from services.segment.worker import texts as worker
from services.segment.worker.texts import MessageTexts
from tests.integration.segment.conftest import ACCOUNT, Segment, identity

KEPT = timedelta(days=30)


def wrote(segment: Segment, key: str, wa_id: str = "886912000001", **what: str) -> event_pb2.CustomerEvent:
    """Somebody wrote on WhatsApp."""
    message = event_pb2.MessageReceived(identity=identity(wa_id), **what)
    return segment.event(key, message_received=message)


def said(mails: list[m.Mail]) -> list[m.Said]:
    """What mail tells."""
    return [mail.body.said for mail in mails if isinstance(mail.body, m.ProfileChanged) and mail.body.said]


async def test_a_message_is_mail_once_and_moves_the_time_of_interaction(segment: Segment) -> None:
    effect_key = new_id()
    hello = wrote(segment, "wamid.1", text="hello")
    pressed = wrote(segment, "wamid.2", text="Yes", button_data="size=m", effect_key=str(effect_key))
    (first,) = await segment.record(hello)
    results = await segment.record(hello, pressed)
    assert [result.status for result in results] == [
        event_pb2.EVENT_STATUS_DUPLICATE,
        event_pb2.EVENT_STATUS_ACCEPTED,
    ]
    account = UUID(ACCOUNT)
    assert said(await segment.mail(first.customer_id)) == [
        m.Said(2, account, "hello"),
        m.Said(2, account, "Yes", "size=m", effect_key),
    ]
    customer = await segment.customer(first.customer_id)
    assert customer.times.customer_interact_time.ToDatetime() == segment.clock.now().replace(tzinfo=None)


async def test_a_message_is_known_by_its_key_whatever_is_told_of_it(segment: Segment) -> None:
    # A release that told no texts may have recorded it.
    await segment.record(wrote(segment, "wamid.1"))
    (again,) = await segment.record(wrote(segment, "wamid.1", text="hello"))
    assert again.status == event_pb2.EVENT_STATUS_DUPLICATE


async def test_a_long_text_is_cut_and_bad_data_is_refused(segment: Segment) -> None:
    (taken, *refused) = await segment.record(
        wrote(segment, "1", text="好" * 600),
        wrote(segment, "2", button_data="x" * 301),
        wrote(segment, "3", effect_key="none"),
    )
    assert [each.status for each in refused] == [event_pb2.EVENT_STATUS_REFUSED] * 2
    assert [each.text for each in said(await segment.mail(taken.customer_id))] == ["好" * 500]


async def test_texts_are_taken_out_of_the_history_when_their_time_is_over(segment: Segment) -> None:
    old, _ = await segment.record(
        wrote(segment, "1", text="old", button_data="a=1"), segment.order("o", "1", who={"member_id": "1"})
    )
    segment.clock.advance(KEPT)
    await segment.record(wrote(segment, "2", text="new"), segment.order("p", "2", who={"member_id": "1"}))
    async with await open_pool(segment.dsn, name="texts") as pool:
        texts = MessageTexts(TextStore(pool), segment.clock, KEPT)
        for _ in range(2):
            while await texts.step():
                pass
            kept = [(each.text, each.button_data) for each in said(await segment.mail(old.customer_id))]
            assert kept == [("", "a=1"), ("new", "")]
        segment.clock.advance(KEPT)
        while await texts.step():
            pass
    assert [each.text for each in said(await segment.mail(old.customer_id))] == ["", ""]


async def test_newer_messages_keep_no_older_ones_of_other_partitions(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "ROWS_MAX", 2)
    people = [f"88691200000{number}" for number in range(8)]
    old = await segment.record(*(wrote(segment, wa_id, wa_id, text="old") for wa_id in people))
    first = min(old, key=lambda result: partition_of(segment.team_id, UUID(result.customer_id)))
    segment.clock.advance(KEPT)
    wa_id = people[old.index(first)]
    await segment.record(*(wrote(segment, f"new {number}", wa_id, text="new") for number in range(4)))
    async with await open_pool(segment.dsn, name="texts") as pool:
        texts = MessageTexts(TextStore(pool), segment.clock, KEPT)
        while await texts.step():
            pass
    mails = [said(await segment.mail(result.customer_id)) for result in old]
    assert sorted(each.text for mail in mails for each in mail) == [""] * 8 + ["new"] * 4
