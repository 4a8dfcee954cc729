# ruff: noqa: N802 - the generated base names the methods and their arguments
"""What customers want."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.consents import change_message, consent_message
from services.segment.domain.consents import ChangePlace, Consent
from services.segment.servicer.base import Base
from services.segment.usecases.consents import place_of
from services.segment.usecases.edits import Once


class ConsentRpcs(Base):
    """See the contract."""

    async def SetConsent(self, request: pb.SetConsentRequest, context: Any) -> pb.SetConsentResponse:
        """What a customer wants from now on."""
        check = Check()
        key = check.customer(request)
        note = check.line("note", request.note, length_max=500, required=False)
        check.done()
        once = Once(key[0], request, pb.SetConsentResponse, _set_reply)
        return await self._deps.consents.set(once, key, request.channel, request.state, note)

    async def ListConsents(self, request: pb.ListConsentsRequest, context: Any) -> pb.ListConsentsResponse:
        """What a customer wants, by channels."""
        check = Check()
        key = check.customer(request)
        check.done()
        size = page_size(request.page_size)
        arguments = ("consents", *key)
        after = page_key(request.page_token, int, *arguments)
        found = await self._deps.consents.holding(key)
        rest = [each for each in found if after is None or each.channel > after]
        page = page_of(rest[: size + 1], size, lambda last: last.channel, *arguments)
        return pb.ListConsentsResponse(
            consents=map(consent_message, page.rows), next_page_token=page.next_token
        )

    async def ListConsentChanges(
        self, request: pb.ListConsentChangesRequest, context: Any
    ) -> pb.ListConsentChangesResponse:
        """What changed, newest first."""
        check = Check()
        key = check.customer(request)
        check.done()
        size = page_size(request.page_size)
        arguments = ("consent changes", *key)
        last = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        after = None if last is None else ChangePlace(*last)
        found = await self._deps.consents.changes(key, after, size + 1)
        page = page_of(found, size, place_of, *arguments)
        return pb.ListConsentChangesResponse(
            consent_changes=[change_message(change) for _, change in page.rows],
            next_page_token=page.next_token,
        )


def _set_reply(consent: Consent) -> pb.SetConsentResponse:
    return pb.SetConsentResponse(consent=consent_message(consent))
