"""Segment while nobody works on mail: a bounded amount is taken, the rest refused, nothing accepted is lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from uuid import UUID

import grpc
import pytest
from redis.asyncio import Redis

from libs.common.ids import PARTITIONS
from libs.common.mailbox import RedisMailbox, open_mailbox
from libs.common.mailbox.api import Trim
from libs.common.rpc.errors import remote_error
from libs.testing.fixtures import Database, Servers
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import event_pb2
from tests.integration.segment.conftest import Segment, serving_segment

BACKLOG_MAX = 20
MAILS_MAX = 2 * PARTITIONS
"""Two mails a partition."""
PATIENCE_S = 60.0


@pytest.fixture
async def segment(servers: Servers, database: Database, redis: Redis) -> AsyncIterator[Segment]:
    """The service with tiny bounds."""
    bounds = {"mailbox_mails_max": MAILS_MAX, "mail_backlog_max": BACKLOG_MAX}
    async with serving_segment(servers, database, **bounds) as segment:
        yield segment


class Owner:
    """Owns all partitions, and keeps what it takes out of the mailboxes."""

    def __init__(self, mailbox: RedisMailbox) -> None:
        self.mailbox = mailbox
        self.taken: defaultdict[UUID, list[int]] = defaultdict(list)

    async def work(self) -> None:
        """Takes and trims, for ever."""
        keys = [(partition, 1) for partition in range(PARTITIONS)]
        await self.mailbox.claim(keys)
        await self.mailbox.repaired(keys)
        while True:
            boxes = (await self.mailbox.take(keys, 100, 100)).taken
            for box in boxes:
                known = self.taken[box.customer_id]
                known += [mail.number for mail in box.mails if mail.number not in known]
            trims = [Trim(b.partition, 1, b.team_id, b.customer_id, b.last_entry_id) for b in boxes]
            await self.mailbox.trim(trims)
            await asyncio.sleep(0.005)


async def record_until_refused(segment: Segment, who: str, first: int) -> tuple[int, grpc.aio.AioRpcError]:
    """Orders of one customer, one a call; how many were taken, and the refusal."""
    for number in range(first, first + 500):
        try:
            [result] = await segment.record(
                segment.order(f"order-{number}", f"o{number}", who={"customer_id": who})
            )
        except grpc.aio.AioRpcError as refusal:
            return number - first, refusal
        assert result.status == event_pb2.EVENT_STATUS_ACCEPTED
        await asyncio.sleep(0.002)
    raise AssertionError("nothing was refused")


async def test_input_is_refused_at_the_bound_and_taken_again_when_there_is_room(
    segment: Segment, servers: Servers
) -> None:
    customer = await segment.create(phone="+886912345678")
    before = len(await segment.mail(customer))
    taken, refusal = await record_until_refused(segment, customer, 1)
    told = remote_error(refusal)
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert told.metadata["limit"] == "OMNIJOURNEY_MAIL_BACKLOG_MAX"
    assert told.retry_after_s
    # What waits, what the mailbox holds, and what went between two looks at it.
    assert BACKLOG_MAX <= taken + before <= BACKLOG_MAX + 10
    # People's edits that would be mail are refused as well, effects of journeys are not.
    with pytest.raises(grpc.aio.AioRpcError) as edit:
        await segment.call("ChangeCustomerTags", customer_id=customer, add=["late"])
    assert remote_error(edit.value).reason == "OVERLOADED"
    tags = change_pb2.TagChange(add=["met"])
    [applied] = await segment.apply(segment.change(customer, tags=tags))
    assert applied.status == change_pb2.CHANGE_STATUS_APPLIED
    async with open_mailbox(servers.redis_url) as mailbox:
        owner = Owner(mailbox)
        working = asyncio.create_task(owner.work())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await _is_refused(segment, customer):
                    await asyncio.sleep(0.02)
            accepted = await segment.mail(customer)
            async with asyncio.timeout(PATIENCE_S):
                while len(owner.taken[UUID(customer)]) < len(accepted):
                    await asyncio.sleep(0.02)
        finally:
            working.cancel()
    assert (
        owner.taken[UUID(customer)] == [mail.number for mail in accepted] == list(range(1, len(accepted) + 1))
    )
    assert len(accepted) == before + taken + 2  # the tag, and the order that was taken again


async def _is_refused(segment: Segment, customer: str) -> bool:
    try:
        await segment.record(segment.order("again", "again", who={"customer_id": customer}))
    except grpc.aio.AioRpcError as error:
        return remote_error(error).reason == "OVERLOADED"
    return False
