"""The channels that this release can send on, by the kinds of their connections."""

from __future__ import annotations

from collections.abc import Mapping

from services.channel_gateway.clients.channels.base import Adapter
from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.clients.channels.pages import PageAdapter
from services.channel_gateway.clients.channels.sink import SinkAdapter
from services.channel_gateway.clients.channels.transport import Transport
from services.channel_gateway.clients.channels.whatsapp import WhatsappAdapter
from services.channel_gateway.config import Settings
from services.channel_gateway.domain.model import Channel, ConnectionKind


def adapters_of(settings: Settings, transport: Transport) -> Mapping[ConnectionKind, Adapter]:
    """An adapter each, at the configured addresses."""
    return {
        ConnectionKind.LINE: LineAdapter(transport, settings.line_url),
        ConnectionKind.WHATSAPP: WhatsappAdapter(transport, settings.whatsapp_url),
        ConnectionKind.MESSENGER: PageAdapter(transport, Channel.MESSENGER, settings.messenger_url),
        ConnectionKind.INSTAGRAM: PageAdapter(
            transport, Channel.INSTAGRAM, settings.messenger_url, settings.instagram_url
        ),
        ConnectionKind.SINK: SinkAdapter(),
    }
