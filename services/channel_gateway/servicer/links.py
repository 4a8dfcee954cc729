# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: links of messages, and who opened them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.errors import NotFound
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert.links import click_message, link_message
from services.channel_gateway.domain.clicks import TrackedLink
from services.channel_gateway.servicer.base import Part


class LinkRpcs(Part):
    """Tracked links."""

    async def GetTrackedLink(
        self, request: pb.GetTrackedLinkRequest, context: Any
    ) -> pb.GetTrackedLinkResponse:
        """Reads a link."""
        link = await self._link(request)
        return pb.GetTrackedLinkResponse(link=link_message(link, request.token))

    async def ListTrackedLinks(
        self, request: pb.ListTrackedLinksRequest, context: Any
    ) -> pb.ListTrackedLinksResponse:
        """Lists links that were opened."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.optional_uuid("journey_id", request.journey_id)
        effect_key = check.optional_uuid("effect_key", request.effect_key)
        check.done()
        arguments = ("tracked links", team_id, journey_id, effect_key)
        size = page_size(request.page_size)
        links = await self._deps.link_store.list_links(
            team_id,
            journey_id=journey_id,
            effect_key=effect_key,
            before=page_key(request.page_token, tuple[datetime, UUID, int], *arguments),
            limit=size + 1,
        )
        page = page_of(links, size, lambda last: (last.opened_at, last.effect_key, last.link_id), *arguments)
        seal = self._deps.token_seal
        return pb.ListTrackedLinksResponse(
            links=[link_message(link, seal.token(link.link_id, link.effect_key)) for link in page.rows],
            next_page_token=page.next_token,
        )

    async def ListLinkClicks(
        self, request: pb.ListLinkClicksRequest, context: Any
    ) -> pb.ListLinkClicksResponse:
        """Lists openings of a link, newest first."""
        size = page_size(request.page_size)
        arguments = ("link clicks", request.team_id, request.token)
        before = page_key(request.page_token, tuple[UUID], *arguments)
        link = await self._link(request)
        clicks = await self._deps.link_store.list_clicks(link, before[0] if before else None, size + 1)
        page = page_of(clicks, size, lambda last: (last.click_id,), *arguments)
        return pb.ListLinkClicksResponse(
            clicks=[click_message(click, request.token) for click in page.rows],
            next_page_token=page.next_token,
        )

    async def _link(self, request: pb.GetTrackedLinkRequest | pb.ListLinkClicksRequest) -> TrackedLink:
        team_id = team_of(request.team_id)
        token = self._deps.token_seal.opened(request.token)
        link = await self._deps.link_store.find(team_id, token) if token is not None else None
        if link is None:
            raise NotFound.of("tracked link", request.token)
        return link
