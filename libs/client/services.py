"""The five services by name."""

from typing import Final, Literal, get_args

ServiceName = Literal["journey", "points", "channel_gateway", "segment", "stats"]
SERVICES: Final[tuple[ServiceName, ...]] = get_args(ServiceName)


def full_name(service: ServiceName) -> str:
    """The gRPC name: `omnijourney.channel_gateway.v1.ChannelGatewayService`."""
    camel = "".join(part.capitalize() for part in service.split("_"))
    return f"omnijourney.{service}.v1.{camel}Service"
