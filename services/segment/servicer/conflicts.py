# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Pairs of customers whom events named together."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.conflicts import conflict_message
from services.segment.domain.views import IdentityConflict
from services.segment.servicer.base import Base
from services.segment.usecases.edits import Once


class ConflictRpcs(Base):
    """See the contract."""

    async def ListIdentityConflicts(
        self, request: pb.ListIdentityConflictsRequest, context: Any
    ) -> pb.ListIdentityConflictsResponse:
        """Pairs, the newest first."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        size = page_size(request.page_size)
        arguments = ("identity conflicts", team_id)
        before = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        found = await self._deps.conflicts.page(team_id, before, size + 1)
        page = page_of(found, size, lambda last: (last.create_time, last.identity_conflict_id), *arguments)
        return pb.ListIdentityConflictsResponse(
            identity_conflicts=map(conflict_message, page.rows), next_page_token=page.next_token
        )

    async def ResolveIdentityConflict(
        self, request: pb.ResolveIdentityConflictRequest, context: Any
    ) -> pb.ResolveIdentityConflictResponse:
        """The pair, settled."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        conflict_id = check.uuid("identity_conflict_id", request.identity_conflict_id)
        check.done()
        once = Once(team_id, request, pb.ResolveIdentityConflictResponse, _resolve_reply)
        return await self._deps.conflicts.settle(once, team_id, conflict_id)


def _resolve_reply(conflict: IdentityConflict) -> pb.ResolveIdentityConflictResponse:
    return pb.ResolveIdentityConflictResponse(identity_conflict=conflict_message(conflict))
