# ruff: noqa: N802 - the generated base names the methods and their arguments
"""What happened: recorded, and read again as facts of a team."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from libs.common.callers import caller
from libs.common.hints import Reason
from libs.common.paging import Page, fitting, page_key, page_size, page_token
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.events import (
    LeftOut,
    ReadEvent,
    add_event_result,
    needs_country,
    read_events,
)
from services.segment.convert.facts import shown_fact
from services.segment.domain.accounts import StrangeAccount
from services.segment.domain.events import (
    NO_SUCH_TEAM,
    account_of_other_channel,
    named_identities,
    no_such_account,
)
from services.segment.domain.facts import Fact
from services.segment.domain.model import Event
from services.segment.domain.views import FactKey
from services.segment.servicer.base import Base
from services.segment.servicer.event_traces import EventTraces

_BATCH_MAX: Final = 500
_FACTS_DEFAULT: Final = 100
_FACTS_MAX: Final = 1_000
_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)


class HistoryRpcs(Base):
    """See the contract."""

    async def RecordEvents(self, request: pb.RecordEventsRequest, context: Any) -> pb.RecordEventsResponse:
        """One result per event."""
        check = Check()
        check.count("events", request.events, most=_BATCH_MAX)
        check.done()
        self._deps.intake.check()
        local = {event.team_id for event in request.events if needs_country(event)}
        countries = await self.countries(local) if local else {}
        latest = self._deps.writer.latest
        traces = EventTraces(request.events, context)
        read = traces.put_on(_with_times_cut(read_events(request.events, countries), latest))
        if not caller().is_internal:
            if caller().team_id is not None:
                read = [_seen(each) for each in read]
            read = await self._of_known_accounts(read)
        results = iter(
            await self._deps.writer.events.submit([each for each, _ in read if isinstance(each, Event)])
        )
        answers = [next(results) if isinstance(each, Event) else each for each, _ in read]
        traces.write(answers)
        response = pb.RecordEventsResponse()
        for answer, (_, left_out) in zip(answers, read, strict=True):
            add_event_result(response, answer, left_out)
        return response

    async def _of_known_accounts(self, read: Sequence[ReadEvent]) -> Sequence[ReadEvent]:
        """The events; refusals of those that would bind an identity of an account that their team has not, or has on
        another channel."""
        strange = await self._deps.accounts.strange([each for each, _ in read if isinstance(each, Event)])
        return [_known(each, strange) for each in read] if strange else read

    async def ListFacts(self, request: pb.ListFactsRequest, context: Any) -> pb.ListFactsResponse:
        """Facts of a team or of a customer, in order of time."""
        size = page_size(request.page_size, default=_FACTS_DEFAULT, most=_FACTS_MAX)
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        start_at, end_at = check.range(request)
        check.done()
        start, end = start_at or _BEGINNING, end_at or _END
        newest_first = request.newest_first
        arguments = ("facts", team_id, customer_id, start, end, *(["newest first"] if newest_first else []))
        facts, is_last = await self._deps.history.facts(
            team_id,
            customer_id=customer_id,
            span=(start, end),
            after=page_key(request.page_token, tuple[datetime, int, int], *arguments),
            row_max=size,
            newest_first=newest_first,
        )
        page = Page(facts, "" if is_last else page_token(_key_of(facts[-1]), *arguments))
        shown, token = fitting(page, [shown_fact(fact) for fact in page.rows], _key_of, *arguments)
        return pb.ListFactsResponse(facts=shown, next_page_token=token)


def _key_of(fact: Fact) -> FactKey:
    return fact.occurred_at, fact.partition, fact.position


def _known(read: ReadEvent, strange: Mapping[StrangeAccount, int]) -> ReadEvent:
    if isinstance(read.event, Event):
        for key in named_identities(read.event):
            own = strange.get((read.event.team_id, key.account_id, int(key.channel)))
            if own is not None:
                answer = (
                    account_of_other_channel(key.account_id, own) if own else no_such_account(key.account_id)
                )
                return ReadEvent(answer, ())
    return read


def _with_times_cut(read: list[ReadEvent], latest: datetime) -> list[ReadEvent]:
    """The same, with times to come told, which are cut when the events are recorded."""
    for place, (event, left_out) in enumerate(read):
        if isinstance(event, Event) and event.occurred_at > latest:
            read[place] = ReadEvent(event, [*left_out, LeftOut("occur_time", Reason.TOO_FAR_AHEAD)])
    return read


def _seen(read: ReadEvent) -> ReadEvent:
    """The event, or the refusal of one of a team that the caller does not see."""
    if isinstance(read.event, Event) and not caller().sees(read.event.team_id):
        return ReadEvent(NO_SUCH_TEAM, ())
    return read
