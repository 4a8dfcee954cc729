"""Links and clicks to contract."""

from __future__ import annotations

from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import link_pb2
from services.channel_gateway.domain.clicks import LinkClick, TrackedLink


def link_message(link: TrackedLink, token: str) -> link_pb2.TrackedLink:
    """A link, whose token is made of the rest of it."""
    return link_pb2.TrackedLink(
        token=token,
        team_id=str(link.team_id),
        target_url=link.url,
        effect_key=str(link.effect_key),
        journey_id=str(link.journey_id),
        node_id=link.node_id,
        customer_id=str(link.customer_id),
        clicks=link.clicks,
        automated_clicks=link.automated_clicks,
        create_time=timestamp(link.sent_at),
        last_click_time=timestamp(link.last_click_at) if link.last_click_at is not None else None,
    )


def click_message(click: LinkClick, token: str) -> link_pb2.LinkClick:
    """An opening."""
    return link_pb2.LinkClick(
        click_id=str(click.click_id),
        token=token,
        click_time=timestamp(click.clicked_at),
        automated=bool(click.agent),
        agent=click.agent,
    )
