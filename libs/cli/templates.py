"""`omnijourney message templates`: message templates, how they stand, and why one was refused."""

from __future__ import annotations

from libs.cli.journeys import Command
from libs.cli.listings import PAGE, listed, name_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2


def show(team_id: str, limit: int, *, as_json: bool) -> Command:
    """Lists templates, oldest first; 0 is no limit."""
    return listed(
        lambda client: client.channel_gateway.ListMessageTemplates,
        pb.ListMessageTemplatesRequest(team_id=team_id, page_size=PAGE),
        "templates",
        _line,
        limit=limit,
        as_json=as_json,
    )


def _line(template: content_pb2.MessageTemplate) -> str:
    state = name_of(content_pb2.TemplateState, template.state, "TEMPLATE_STATE_")
    why = f"  {template.rejected_reason}" if template.rejected_reason else ""
    return f"{template.name}  {template.language}  {template.category}  {state}{why}"
