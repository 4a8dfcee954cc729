# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge of the gateway: deliveries and figures. Resources are in the modules beside it.

What a release does not serve yet is left to the generated base and answers UNIMPLEMENTED.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import quota_pb2
from services.channel_gateway.convert import deliveries as convert
from services.channel_gateway.domain.views import DeliveryFilter
from services.channel_gateway.servicer.accounts import AccountRpcs
from services.channel_gateway.servicer.charges import ChargeRpcs
from services.channel_gateway.servicer.content import ContentRpcs
from services.channel_gateway.servicer.content_tests import ContentTestRpcs
from services.channel_gateway.servicer.frequency import FrequencyRpcs
from services.channel_gateway.servicer.links import LinkRpcs
from services.channel_gateway.servicer.money import MoneyRpcs
from services.channel_gateway.servicer.pixels import PixelRpcs
from services.channel_gateway.servicer.replays import ReplayRpcs
from services.channel_gateway.servicer.secret_keys import SecretKeyRpcs
from services.channel_gateway.servicer.shops import ShopRpcs
from services.channel_gateway.servicer.subscriptions import SubscriptionRpcs
from services.channel_gateway.servicer.template_sync import TemplateSyncRpcs


class ChannelGatewayServicer(
    AccountRpcs,
    ChargeRpcs,
    ContentRpcs,
    ContentTestRpcs,
    FrequencyRpcs,
    LinkRpcs,
    MoneyRpcs,
    PixelRpcs,
    ReplayRpcs,
    ShopRpcs,
    SecretKeyRpcs,
    SubscriptionRpcs,
    TemplateSyncRpcs,
):
    """See `protos/omnijourney/channel_gateway/v1/channel_gateway_service.proto`."""

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Any) -> pb.GetDeliveryResponse:
        """Reads one send."""
        row = await self._deps.figures.delivery(*ids_of(request.team_id, "effect_key", request.effect_key))
        return pb.GetDeliveryResponse(delivery=convert.delivery_of(row))

    async def GetDeliveryContent(
        self, request: pb.GetDeliveryContentRequest, context: Any
    ) -> pb.GetDeliveryContentResponse:
        """Reads what was sent."""
        parts = await self._deps.figures.content(*ids_of(request.team_id, "effect_key", request.effect_key))
        return pb.GetDeliveryContentResponse(messages=[part.decode(errors="replace") for part in parts])

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Any
    ) -> pb.ListDeliveriesResponse:
        """Lists sends, newest first."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        wanted = _wanted(check, request)
        check.done()
        arguments = ("deliveries", team_id, *wanted)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        rows = await self._deps.figures.deliveries(team_id, wanted, after, size + 1)
        page = page_of(rows, size, lambda last: (last["created_at"], last["effect_key"]), *arguments)
        return pb.ListDeliveriesResponse(
            deliveries=map(convert.delivery_of, page.rows), next_page_token=page.next_token
        )

    async def GetSendFigures(
        self, request: pb.GetSendFiguresRequest, context: Any
    ) -> pb.GetSendFiguresResponse:
        """Counts sends and messages."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.optional_uuid("journey_id", request.journey_id)
        check.done()
        rows, refunds = await self._deps.figures.send_figures(team_id, journey_id)
        return pb.GetSendFiguresResponse(figures=convert.figures_of(rows, refunds))

    async def GetJourneyUsage(
        self, request: pb.GetJourneyUsageRequest, context: Any
    ) -> pb.GetJourneyUsageResponse:
        """Reads what a journey has taken under its caps."""
        rows = await self._deps.figures.journey_usage(
            *ids_of(request.team_id, "journey_id", request.journey_id)
        )
        return pb.GetJourneyUsageResponse(
            usages=[quota_pb2.JourneyUsage(channel=row["channel"], used=row["used"]) for row in rows]
        )


def _wanted(check: FieldCheck, request: pb.ListDeliveriesRequest) -> DeliveryFilter:
    reasons, is_one = convert.stored_reasons(request.reason)
    start_at, end_at = check.range(request)
    return DeliveryFilter(
        check.optional_uuid("journey_id", request.journey_id),
        request.node_id,
        check.optional_uuid("customer_id", request.customer_id),
        convert.stored_states(request.state),
        request.channel,
        reasons,
        is_one,
        start_at,
        end_at,
    )
