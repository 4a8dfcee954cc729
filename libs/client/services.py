"""The five services by name."""

from typing import Final, Literal, get_args

ServiceName = Literal["journey", "points", "channel_gateway", "segment", "stats"]
SERVICES: Final[tuple[ServiceName, ...]] = get_args(ServiceName)
DEFAULT_PORTS: Final[dict[ServiceName, int]] = {
    "journey": 7401,
    "points": 7402,
    "channel_gateway": 7403,
    "segment": 7404,
    "stats": 7405,
}
"""Where each listens when nothing else is configured."""
METRICS_OFFSET: Final = 100
"""The default port of a service's metrics is its own port plus this."""


def full_name(service: ServiceName) -> str:
    """The gRPC name: `omnijourney.channel_gateway.v1.ChannelGatewayService`."""
    camel = "".join(part.capitalize() for part in service.split("_"))
    return f"omnijourney.{service}.v1.{camel}Service"
