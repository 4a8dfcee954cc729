# ruff: noqa: N802 - the generated base names the methods
"""gRPC edge: what messages cost, and when a team is warned."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields, team_of
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.convert.money import alert_message, charge_message, money_of
from services.channel_gateway.domain.model import WALLET_MICROS_MAX
from services.channel_gateway.domain.views import BalanceAlert, ChargeFilter
from services.channel_gateway.servicer.base import Part
from services.channel_gateway.usecases.call import Call

_FIELDS: Final = frozenset({"threshold"})


class ChargeRpcs(Part):
    """The ledger of charges, and the alert."""

    async def ListMessageCharges(
        self, request: pb.ListMessageChargesRequest, context: Any
    ) -> pb.ListMessageChargesResponse:
        """Lists charges and refunds."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.optional_uuid("journey_id", request.journey_id)
        wanted = ChargeFilter(request.channel, journey_id, *check.range(request))
        check.done()
        arguments = ("message charges", team_id, *wanted)
        size = page_size(request.page_size)
        after = page_key(request.page_token, tuple[datetime, UUID, int], *arguments)
        charges = await self._deps.charge_store.charges(team_id, wanted, after, size + 1)
        page = page_of(charges, size, lambda last: (last.charged_at, last.effect_key, last.kind), *arguments)
        return pb.ListMessageChargesResponse(
            message_charges=map(charge_message, page.rows), next_page_token=page.next_token
        )

    async def GetBalanceAlert(
        self, request: pb.GetBalanceAlertRequest, context: Any
    ) -> pb.GetBalanceAlertResponse:
        """Reads the alert; a team that never set one is never warned."""
        alert = await self._deps.charge_store.alert(team_of(request.team_id))
        return pb.GetBalanceAlertResponse(balance_alert=alert_message(alert))

    async def UpdateBalanceAlert(
        self, request: pb.UpdateBalanceAlertRequest, context: Any
    ) -> pb.UpdateBalanceAlertResponse:
        """Sets the threshold of the alert."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        fields = changed_fields(check, request.update_mask.paths, _FIELDS, request.balance_alert)
        threshold = None
        if request.balance_alert.HasField("threshold"):
            field = "balance_alert.threshold"
            threshold = money_of(check, field, request.balance_alert.threshold)
            check.whole(f"{field}.amount_micros", threshold.micros, least=1, most=WALLET_MICROS_MAX)
        check.done()

        def reply(alert: BalanceAlert) -> pb.UpdateBalanceAlertResponse:
            return pb.UpdateBalanceAlertResponse(balance_alert=alert_message(alert))

        call = Call(team_id, request, pb.UpdateBalanceAlertResponse, reply)
        return await self._deps.balance_alerts.update(call, request.etag, threshold, changes=bool(fields))
