# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Saved audiences seen from elsewhere: who is in them, what they name, and how they read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.audience.describing import LANGUAGES
from libs.common.audience.expressions import Expression, names
from libs.common.audience.reading import read_audience
from libs.common.paging import page_key, page_size, page_token
from libs.common.text import as_seen, fold
from omnijourney.segment.v1 import audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.domain.views import SavedAudience
from services.segment.servicer.audiences import saved_message
from services.segment.servicer.base import Base
from services.segment.usecases.evaluator import AudienceQuestion

_LOOKED_AT_MAX: Final = 500
"""Saved audiences that are looked at for one page, whatever is asked for."""

Chooser = Callable[[Sequence[Expression]], Awaitable[Sequence[bool]]]


class AudienceUseRpcs(Base):
    """See the contract."""

    async def DescribeAudience(
        self, request: pb.DescribeAudienceRequest, context: Any
    ) -> pb.DescribeAudienceResponse:
        """The line."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        language = request.language_code or LANGUAGES[0]
        text = await self._deps.audiences.described(team_id, request.audience, language)
        return pb.DescribeAudienceResponse(text=text)

    async def ListCustomerAudiences(
        self, request: pb.ListCustomerAudiencesRequest, context: Any
    ) -> pb.ListCustomerAudiencesResponse:
        """The saved audiences that the customer is in."""
        check = Check()
        key = team_id, customer_id = check.customer(request)
        check.done()
        await self._deps.customers.get(key)

        async def belongs(expressions: Sequence[Expression]) -> Sequence[bool]:
            questions = [AudienceQuestion(team_id, customer_id, each) for each in expressions]
            return [answer.matches for answer in await self._deps.evaluator.evaluate(questions)]

        found, token = await self._chosen(team_id, request, belongs, "audiences of", customer_id)
        return pb.ListCustomerAudiencesResponse(
            saved_audiences=map(saved_message, found), next_page_token=token
        )

    async def ListReferringAudiences(
        self, request: pb.ListReferringAudiencesRequest, context: Any
    ) -> pb.ListReferringAudiencesResponse:
        """The saved audiences that name the thing."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        key, tag, audience_id = request.attribute_key, as_seen(request.tag), request.saved_audience_id
        if sum(map(bool, (key, tag, audience_id))) != 1:
            check.fault("attribute_key", "give one of attribute_key, tag and saved_audience_id")
        check.done()
        await self._deps.teams.get(team_id)
        audience_id = str(UUID(audience_id)) if audience_id else ""

        async def naming(expressions: Sequence[Expression]) -> Sequence[bool]:
            return [
                names(each, attribute_key=key, tag=fold(tag), audience_id=audience_id) for each in expressions
            ]

        found, token = await self._chosen(team_id, request, naming, "audiences naming", key, tag, audience_id)
        return pb.ListReferringAudiencesResponse(
            saved_audiences=map(saved_message, found), next_page_token=token
        )

    async def _chosen(
        self,
        team_id: UUID,
        request: pb.ListCustomerAudiencesRequest | pb.ListReferringAudiencesRequest,
        choose: Chooser,
        *arguments: object,
    ) -> tuple[list[SavedAudience], str]:
        """Those that are chosen of some saved audiences, and the token of the page behind the last looked at."""
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, team_id, *arguments)
        seen = await self._deps.audiences.page(team_id, after, _LOOKED_AT_MAX + 1)
        looked_at = seen[:_LOOKED_AT_MAX]
        readings = [read_audience(audience_pb2.Audience.FromString(each.audience)) for each in looked_at]
        # What an older release saved may be beyond what is allowed by now: it holds nobody and names nothing.
        chosen = iter(await choose([each.expression for each in readings if not each.faults]))
        found: list[SavedAudience] = []
        for saved, reading in zip(looked_at, readings, strict=True):
            if not reading.faults and next(chosen):
                found.append(saved)
                if len(found) == size and saved is not seen[-1]:
                    return found, page_token(saved.audience_id, team_id, *arguments)
        more = len(seen) > _LOOKED_AT_MAX
        return found, page_token(looked_at[-1].audience_id, team_id, *arguments) if more else ""
