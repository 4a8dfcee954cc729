# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of who uses what."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from omnijourney.journey.v1 import journey_pb2, validation_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.domain.references import THING_BYTES_MAX
from services.journey.domain.views import Referring
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases.references import Subject

_TEXTS = frozenset({Subject.ATTRIBUTE, Subject.TAG})


class ReferenceRpcs(BaseRpcs):
    """Journeys by what they use."""

    async def ListReferringJourneys(
        self, request: pb.ListReferringJourneysRequest, context: Any
    ) -> pb.ListReferringJourneysResponse:
        """Lists journeys that use a thing, newest first."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        named = request.WhichOneof("subject")
        if named is None:
            check.fault("subject", "is required")
        check.done()
        subject = Subject(str(named))
        thing = _thing(subject, getattr(request, subject.value))
        size = page_size(request.page_size)
        arguments = ("referring", team_id, subject.value, thing)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        rows = await self._deps.uses.page(team_id, subject, thing, after, size + 1)
        page = page_of(rows, size, lambda row: (row.created_at, row.journey_id), *arguments)
        return pb.ListReferringJourneysResponse(
            journeys=map(_message, page.rows), next_page_token=page.next_token
        )


def _thing(subject: Subject, given: str) -> str:
    """As it is stored."""
    check = FieldCheck()
    if subject in _TEXTS:
        thing = check.text(subject.value, given, length_max=THING_BYTES_MAX)
    else:
        thing = str(check.uuid(subject.value, given))
    check.done()
    return thing


def _message(row: Referring) -> validation_pb2.ReferringJourney:
    return validation_pb2.ReferringJourney(
        journey_id=str(row.journey_id),
        name=row.name,
        status=journey_pb2.JourneyStatus.ValueType(row.status),
        fields=row.fields,
    )
