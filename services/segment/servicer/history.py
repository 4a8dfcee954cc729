# ruff: noqa: N802 - the generated base names the methods and their arguments
"""What happened: recorded, applied, and read again as mail, history and facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from libs.common.feeds.notifier import long_poll
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import encode
from libs.common.paging import page_key, page_size, page_token
from libs.common.rpc.values import seconds_of
from omnijourney.common.v1 import history_pb2 as common_history_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.events import (
    change_result_message,
    event_result_message,
    read_change,
    read_event,
)
from services.segment.convert.facts import fact_message, kind_of, mail_of, read_kinds, tags_of
from services.segment.domain.facts import Fact
from services.segment.domain.model import Change, Event
from services.segment.servicer.base import Base
from services.segment.store import history

_BATCH_MAX: Final = 500
_HISTORY_DEFAULT: Final = 1_000
_HISTORY_MAX: Final = 5_000
_READS_MAX: Final = 8
"""Pages that are looked at for facts of the kinds wanted before a caller goes on from where that led: within a call's
deadline, however long the history is."""
_MAIL_DEFAULT: Final = 500
_MAIL_MAX: Final = 2_000
_FACTS_DEFAULT: Final = 100
_FACTS_MAX: Final = 1_000
_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)


class HistoryCalls(Base):
    """See the contract."""

    async def RecordEvents(self, request: pb.RecordEventsRequest, context: Any) -> pb.RecordEventsResponse:
        """One result per event."""
        check = Check()
        check.count("events", request.events, most=_BATCH_MAX)
        check.done()
        self._parts.intake.check()
        read = [read_event(event) for event in request.events]
        results = iter(
            await self._parts.writer.events.submit([each for each in read if isinstance(each, Event)])
        )
        return pb.RecordEventsResponse(
            results=[
                event_result_message(next(results) if isinstance(each, Event) else each) for each in read
            ]
        )

    async def ApplyChanges(self, request: pb.ApplyChangesRequest, context: Any) -> pb.ApplyChangesResponse:
        """One result per change."""
        check = Check()
        check.count("changes", request.changes, most=_BATCH_MAX)
        check.done()
        read = [read_change(change) for change in request.changes]
        results = iter(
            await self._parts.writer.changes.submit([each for each in read if isinstance(each, Change)])
        )
        return pb.ApplyChangesResponse(
            results=[
                change_result_message(next(results) if isinstance(each, Change) else each) for each in read
            ]
        )

    async def ListMail(self, request: pb.ListMailRequest, context: Any) -> pb.ListMailResponse:
        """Mail of a partition or of a customer."""
        size = page_size(request.page_size, default=_MAIL_DEFAULT, most=_MAIL_MAX)
        check = Check()
        match request.WhichOneof("scope"):
            case "customer":
                team_id = check.uuid("customer.team_id", request.customer.team_id)
                customer_id = check.uuid("customer.customer_id", request.customer.customer_id)
                check.done()
                facts = await history.customer_mail(
                    self._parts.pool, team_id, customer_id, request.customer.after_number, size
                )
                return pb.ListMailResponse(mails=_mails(facts))
            case "partition":
                cursor = request.partition
                check.whole("partition.partition", cursor.partition, least=0, most=PARTITIONS - 1)
                check.done()
                facts, read = await self._partition_mail(cursor.partition, cursor.after_position, size)
                return pb.ListMailResponse(mails=_mails(facts), read_position=read)
            case _:
                check.fault("scope", "is required")
        check.done()
        raise AssertionError("unreachable: the check has a fault")

    async def _partition_mail(self, partition: int, after: int, size: int) -> tuple[list[Fact], int]:
        """Up to `size` facts that are mail, and how far was read. Fewer than `size`: there are no more."""
        found: list[Fact] = []
        while True:
            page = await history.read_facts(
                self._parts.pool, {partition: after}, size - len(found), only_mail=True
            )
            found += page.facts
            after = page.cursors[partition]
            if page.is_last or len(found) == size:
                return found, after

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Any) -> pb.ListHistoryResponse:
        """Facts after the cursors; waits for news when there are none."""
        size = page_size(request.page_size, default=_HISTORY_DEFAULT, most=_HISTORY_MAX)
        check = Check()
        check.count("cursors", request.cursors, least=1, most=PARTITIONS)
        cursors: dict[int, int] = {}
        for index, cursor in enumerate(request.cursors):
            if cursor.partition in cursors:
                check.fault(f"cursors[{index}].partition", "is given twice")
            check.whole(f"cursors[{index}].partition", cursor.partition, least=0, most=PARTITIONS - 1)
            cursors[cursor.partition] = cursor.after_position
        kinds = read_kinds(check, "kinds", request.kinds)
        check.done()
        tags = None if kinds is None else tags_of(kinds)
        reached = cursors

        async def read() -> tuple[list[Fact], dict[int, int]]:
            nonlocal reached
            found: list[Fact] = []
            for _ in range(_READS_MAX):
                page = await history.read_facts(self._parts.pool, reached, size, tags=tags)
                reached = page.cursors
                found = [fact for fact in page.facts if kinds is None or kind_of(fact.body) in kinds]
                if found or page.is_last:
                    break
            return found, reached

        wait_s = seconds_of(request.wait) if request.HasField("wait") else 0.0
        facts, following = await long_poll(read, self._parts.notifiers.of(tags), wait_s, self._parts.draining)
        return pb.ListHistoryResponse(
            facts=map(fact_message, facts),
            next_cursors=[
                common_history_pb2.HistoryCursor(partition=partition, after_position=following[partition])
                for partition in cursors
            ],
        )

    async def ListFacts(self, request: pb.ListFactsRequest, context: Any) -> pb.ListFactsResponse:
        """Facts of a team in order of time."""
        size = page_size(request.page_size, default=_FACTS_DEFAULT, most=_FACTS_MAX)
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        start = (
            check.time("start_time", request, "start_time") if request.HasField("start_time") else _BEGINNING
        )
        end = check.time("end_time", request, "end_time") if request.HasField("end_time") else _END
        check.done()
        assert start is not None
        assert end is not None
        arguments = ("facts", team_id, customer_id, start, end)
        after = page_key(request.page_token, tuple[datetime, int, int], *arguments) or (_BEGINNING, -1, 0)
        facts = await history.list_facts(
            self._parts.pool,
            team_id,
            customer_id=customer_id,
            span=(start, end),
            after=after,
            row_max=size + 1,
        )
        page = facts[:size]
        token = ""
        if len(facts) > size:
            token = page_token((page[-1].occurred_at, page[-1].partition, page[-1].position), *arguments)
        return pb.ListFactsResponse(facts=map(fact_message, page), next_page_token=token)


def _mails(facts: list[Fact]) -> list[bytes]:
    return [encode(mail) for fact in facts if (mail := mail_of(fact))]
