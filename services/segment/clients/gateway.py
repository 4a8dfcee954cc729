"""The gateway, as segment needs it: which messages left, and when."""

from __future__ import annotations

import grpc

from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import GatewayRow


def gateway_history(channel: grpc.aio.Channel) -> PackedHistory[GatewayRow]:
    """What became of sends; `channel` to the gateway."""
    return PackedHistory("channel_gateway", channel, GatewayRow)
