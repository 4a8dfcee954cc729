# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge of the gateway: sends, deliveries, feeds. Resources are in the `servicer_…` modules beside it.

What a release does not serve yet (tracked links, outgoing webhooks, the synchronisation of templates) is left to the
generated base and answers UNIMPLEMENTED.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.feeds.notifier import PAGE_MAX, long_poll
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import encode
from libs.common.paging import page_key, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import seconds_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import quota_pb2
from omnijourney.common.v1 import history_pb2
from services.channel_gateway.convert import deliveries as convert
from services.channel_gateway.servicer.accounts import AccountRpcs
from services.channel_gateway.servicer.base import ids_of, next_token
from services.channel_gateway.servicer.content import ContentRpcs
from services.channel_gateway.servicer.money import MoneyRpcs
from services.channel_gateway.servicer.shops import ShopRpcs

MAIL_PAGE_DEFAULT: Final = 500
HISTORY_PAGE_DEFAULT: Final = 1_000


class ChannelGatewayServicer(AccountRpcs, ContentRpcs, MoneyRpcs, ShopRpcs):
    """See `protos/omnijourney/channel_gateway/v1/channel_gateway_service.proto`."""

    async def SendMessages(self, request: pb.SendMessagesRequest, context: Any) -> pb.SendMessagesResponse:
        """Reserves and stores sends."""
        answers = await self._parts.reservation.send(convert.sends_of(request))
        return pb.SendMessagesResponse(results=map(convert.result_of, answers))

    async def StopSends(self, request: pb.StopSendsRequest, context: Any) -> pb.StopSendsResponse:
        """Cancels a journey's sends of older epochs."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        epoch = check.whole("epoch", request.epoch, least=1, most=2**62)
        check.done()
        cancelled, on_the_wire = await self._parts.sender.stop(team_id, journey_id, epoch)
        return pb.StopSendsResponse(cancelled=cancelled, on_the_wire=on_the_wire)

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Any) -> pb.GetDeliveryResponse:
        """Reads one send."""
        row = await self._parts.figures.delivery(*ids_of(request.team_id, "effect_key", request.effect_key))
        return pb.GetDeliveryResponse(delivery=convert.delivery_of(row))

    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: Any
    ) -> pb.ListDeliveriesResponse:
        """Lists sends, newest first."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.optional_uuid("journey_id", request.journey_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        check.done()
        arguments = ("deliveries", team_id, journey_id, request.node_id, customer_id, request.state)
        size = page_size(request.page_size)
        rows = await self._parts.figures.deliveries(
            team_id,
            journey_id=journey_id,
            node_id=request.node_id,
            customer_id=customer_id,
            states=convert.stored_states(request.state),
            after=page_key(request.page_token, tuple[datetime, UUID], *arguments),
            limit=size + 1,
        )
        shown = rows[:size]
        last = (shown[-1]["created_at"], shown[-1]["effect_key"]) if len(rows) > size else None
        return pb.ListDeliveriesResponse(
            deliveries=map(convert.delivery_of, shown), next_page_token=next_token(last, arguments)
        )

    async def GetSendFigures(
        self, request: pb.GetSendFiguresRequest, context: Any
    ) -> pb.GetSendFiguresResponse:
        """Counts sends and messages."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.optional_uuid("journey_id", request.journey_id)
        check.done()
        rows = await self._parts.figures.send_figures(team_id, journey_id)
        return pb.GetSendFiguresResponse(figures=convert.figures_of(rows))

    async def GetJourneyUsage(
        self, request: pb.GetJourneyUsageRequest, context: Any
    ) -> pb.GetJourneyUsageResponse:
        """Reads what a journey has taken under its caps."""
        rows = await self._parts.figures.journey_usage(
            *ids_of(request.team_id, "journey_id", request.journey_id)
        )
        return pb.GetJourneyUsageResponse(
            usages=[quota_pb2.JourneyUsage(channel=row["channel"], used=row["used"]) for row in rows]
        )

    # ---- feeds ----

    async def ListMail(self, request: pb.ListMailRequest, context: Any) -> pb.ListMailResponse:
        """Mail by partition or by customer."""
        check = FieldCheck()
        size = check.whole("page_size", request.page_size or MAIL_PAGE_DEFAULT, least=1, most=PAGE_MAX)
        check.whole("partition", request.partition, least=0, most=PARTITIONS - 1)
        if request.customer_id:
            team_id = check.uuid("team_id", request.team_id)
            customer_id = check.uuid("customer_id", request.customer_id)
            check.done()
            mails = await self._parts.feed.customer_mail(team_id, customer_id, request.after_number, size + 1)
        else:
            check.done()
            mails = await self._parts.feed.fetch_after({request.partition: request.after_position}, size + 1)
        return pb.ListMailResponse(mails=map(encode, mails[:size]), more=len(mails) > size)

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Any) -> pb.ListHistoryResponse:
        """The history after cursors; waits for news."""
        check = FieldCheck()
        check.count("cursors", request.cursors, least=1, most=PARTITIONS)
        for index, cursor in enumerate(request.cursors):
            check.whole(f"cursors[{index}].partition", cursor.partition, least=0, most=PARTITIONS - 1)
        size = check.whole("page_size", request.page_size or HISTORY_PAGE_DEFAULT, least=1, most=PAGE_MAX)
        check.done()
        cursors = {cursor.partition: cursor.after_position for cursor in request.cursors}
        rows, following = await long_poll(
            lambda: self._parts.feed.read(cursors, size),
            self._parts.notifier,
            seconds_of(request.wait),
            self._parts.draining,
        )
        return pb.ListHistoryResponse(
            facts=map(convert.fact_of, rows),
            next_cursors=[
                history_pb2.HistoryCursor(partition=partition, after_position=position)
                for partition, position in following.items()
            ],
        )
