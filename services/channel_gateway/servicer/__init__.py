"""The gRPC edge: one file a noun, put together as one servicer."""

from services.channel_gateway.servicer.deliveries import ChannelGatewayServicer

__all__ = ["ChannelGatewayServicer"]
