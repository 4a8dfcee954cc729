"""All mail of a team, customer by customer, as simulations read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from libs.common.mailbox.mail import Mail, decode
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.internal.v1 import mail_service_pb2
from services.segment.store.history import team_mail
from tests.integration.segment.conftest import Segment

Key = tuple[UUID, int]


async def tagged(segment: Segment, customers: Sequence[str], tag: str) -> None:
    """One more mail for each."""
    for customer_id in customers:
        await segment.call("ChangeCustomerTags", customer_id=customer_id, add=[tag])


async def page(segment: Segment, since: datetime, after: Key | None, size: int) -> Any:
    cursor = mail_service_pb2.TeamMailCursor(team_id=str(segment.team_id), start_time=timestamp(since))
    if after is not None:
        cursor.after_customer_id, cursor.after_number = str(after[0]), after[1]
    return await segment.call("ListMail", team=cursor, page_size=size)


async def read(segment: Segment, since: datetime, size: int) -> list[Mail]:
    """All pages."""
    found: list[Mail] = []
    after: Key | None = None
    while True:
        answer = await page(segment, since, after, size)
        assert len(answer.mails) <= size
        found += [decode(mail) for mail in answer.mails]
        if not answer.more:
            return found
        after = (found[-1].customer_id, found[-1].number)


def keys(mails: Sequence[Mail]) -> list[Key]:
    return [(mail.customer_id, mail.number) for mail in mails]


@pytest.mark.parametrize("size", [1, 2, 3, 500])
async def test_a_teams_mail_comes_by_customer_and_number_since_an_instant(
    segment: Segment, size: int
) -> None:
    customers = [await segment.create(name=f"C{number}") for number in range(3)]
    await tagged(segment, customers, "before")
    since = segment.clock.advance(timedelta(hours=1))
    await tagged(segment, customers[:2], "after")
    segment.clock.advance(timedelta(hours=1))
    await tagged(segment, customers[:1], "later")
    expected = [mail for customer_id in customers for mail in await segment.mail(customer_id)]
    expected.sort(key=lambda mail: (mail.customer_id, mail.number))
    new = [mail for mail in expected if mail.occurred_at >= since]
    assert len(new) == 3
    assert await read(segment, since, size) == new
    assert await read(segment, since - timedelta(days=1), size) == expected


async def test_large_mails_make_short_pages_and_none_is_left_out(segment: Segment) -> None:
    customers = [await segment.create(name=f"C{number}") for number in range(2)]
    for number in range(4):
        await tagged(segment, customers, f"{number}" * 90)
    since = segment.clock.now() - timedelta(hours=1)
    whole = keys(await read(segment, since, 500))
    async with await open_pool(segment.dsn, name="test") as pool:
        found: list[Key] = []
        while True:
            after = found[-1] if found else None
            facts, is_last = await team_mail(pool, segment.team_id, since, after, 500, byte_max=150)
            assert len(facts) in (1, 2)
            found += [(fact.customer_id, fact.mail_number) for fact in facts]  # type: ignore[misc]
            if is_last:
                break
    assert found == whole


async def test_a_cursor_without_its_parts_is_refused(segment: Segment) -> None:
    cursor = mail_service_pb2.TeamMailCursor(team_id="x", after_customer_id=str(new_id()), after_number=-1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await segment.call("ListMail", team=cursor)
    fields = {violation.field for violation in remote_error(caught.value).violations}
    assert fields == {"team.team_id", "team.start_time", "team.after_number"}
