"""Which journeys and audiences use a thing: what is looked at before it goes."""

from __future__ import annotations

from typing import Any, Final

from libs.console.partial import Part, part
from libs.console.visits import Visit
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.segment.v1 import segment_service_pb2 as segment

SHOWN_MAX: Final = 20


async def journeys_using(visit: Visit, **subject: str) -> Part:
    """Drafts and live journeys that name it, newest first; `subject` as `ListReferringJourneysRequest` has it."""
    fields: dict[str, Any] = {"team_id": visit.team_id, "page_size": SHOWN_MAX, **subject}
    read = await part(
        visit,
        visit.call(
            visit.client.journey.ListReferringJourneys, journey.ListReferringJourneysRequest(**fields)
        ),
    )
    return Part([(each.journey_id, each.name) for each in read.answer.journeys]) if not read.fault else read


async def audiences_using(visit: Visit, **subject: str) -> list[tuple[str, str]]:
    """Saved audiences that name it, some of them; `subject` as `ListReferringAudiencesRequest` has it. Raises
    CallError."""
    fields: dict[str, Any] = {"team_id": visit.team_id, "page_size": SHOWN_MAX, **subject}
    asked = segment.ListReferringAudiencesRequest(**fields)
    page = await visit.call(visit.client.segment.ListReferringAudiences, asked)
    return [(each.saved_audience_id, each.name) for each in page.saved_audiences]
