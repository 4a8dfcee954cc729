"""What simulations read of the other services: recorded mail, customers and the team as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

import grpc

from libs.common.audience.expressions import AnyOf, AttributeType, Expression, attribute_keys
from libs.common.audience.memberships import named_audiences
from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.errors import NotFound, Unavailable
from libs.common.feeds.serving import MailPage
from libs.common.frequency import FrequencyRule
from libs.common.mailbox.mail import decode_all
from libs.common.rpc.client import CALL_DEADLINE_S, fitting_calls, fitting_page, retrying
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway_calls
from omnijourney.internal.v1 import customers_service_pb2, ledger_service_pb2, mail_service_pb2
from services.journey.clients.audiences import Audiences
from services.journey.clients.calls import ServiceUnavailable, call_once
from services.journey.convert import simulation as convert
from services.journey.convert.gate import traits_of
from services.journey.convert.references import expression_of
from services.journey.domain.model import Channel, Definition, Message
from services.journey.domain.plan import TeamPlan
from services.journey.domain.simulated_customer import Standing
from services.journey.domain.simulation_premises import Needs, Price, Surroundings

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub
    from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceAsyncStub
    from omnijourney.internal.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from omnijourney.internal.v1.mail_service_pb2_grpc import MailServiceAsyncStub

PAGE_MAX: Final = 1_000
"""Mails of a page: it is read and written in one go at both ends, some 10 µs each."""
CUSTOMERS_MAX: Final = 500
"""Customers of a question, as the contracts say."""
CHANGES_AT_ONCE: Final = 5_000
"""Changes of points that are read in one go, some 2 µs each."""

MailKey = tuple[UUID, int]
"""Customer and number."""


class Recorded(Protocol):
    """What simulations go by. All raise `ServiceUnavailable`."""

    async def mails(self, team_id: UUID, since: datetime, after: MailKey | None) -> MailPage:
        """A page of a team's mail that was recorded since then, in order of customer and number."""
        ...

    async def standings(
        self, team_id: UUID, customers: Sequence[UUID], needs: Needs, around: Surroundings, since: datetime
    ) -> list[Standing]:
        """Customers as they are now, in order, as far as that is needed; with what changed their points since then."""
        ...

    async def surroundings(self, team_id: UUID, definition: Definition) -> Surroundings:
        """What is true of the team now."""
        ...


@dataclass(frozen=True, slots=True)
class GrpcRecorded:
    """See `Recorded`. All stubs send the token."""

    mail: MailServiceAsyncStub
    """Of segment."""
    customers: CustomersServiceAsyncStub
    ledger: LedgerServiceAsyncStub
    gateway: ChannelGatewayServiceAsyncStub
    settings: TeamSettingsClient
    audiences: Audiences

    async def mails(self, team_id: UUID, since: datetime, after: MailKey | None) -> MailPage:
        """See `Recorded`."""
        cursor = mail_service_pb2.TeamMailCursor(team_id=str(team_id), start_time=timestamp(since))
        if after is not None:
            cursor.after_customer_id, cursor.after_number = str(after[0]), after[1]

        async def read(rows_max: int) -> mail_service_pb2.ListMailResponse:
            request = mail_service_pb2.ListMailRequest(team=cursor, page_size=rows_max)
            return await retrying(lambda: self.mail.ListMail(request, timeout=CALL_DEADLINE_S))

        response = await call_once(lambda: fitting_page(read, PAGE_MAX))
        return MailPage(decode_all(response.mails), response.more)

    async def standings(
        self, team_id: UUID, customers: Sequence[UUID], needs: Needs, around: Surroundings, since: datetime
    ) -> list[Standing]:
        """See `Recorded`."""
        parts = convert.parts_of(needs)
        if not parts and not needs.points:
            return [Standing() for _ in customers]

        async def profiles(ids: Sequence[UUID]) -> Sequence[Any]:
            items = [
                customers_service_pb2.CustomerRef(team_id=str(team_id), customer_id=str(id_)) for id_ in ids
            ]
            request = customers_service_pb2.BatchGetProfilesRequest(items=items, parts=parts)
            answer = await retrying(lambda: self.customers.BatchGetProfiles(request, timeout=CALL_DEADLINE_S))
            return answer.profiles

        async def changes(ids: Sequence[UUID]) -> Sequence[Any]:
            request = ledger_service_pb2.BatchListPointChangesRequest(
                team_id=str(team_id), customer_ids=map(str, ids), start_time=timestamp(since)
            )
            answer = await retrying(
                lambda: self.ledger.BatchListPointChanges(request, timeout=CALL_DEADLINE_S)
            )
            return answer.customers

        found = await call_once(lambda: fitting_calls(profiles, customers, CUSTOMERS_MAX))
        held: Sequence[Any] = [None] * len(customers)
        if needs.points:
            held = await call_once(lambda: fitting_calls(changes, customers, CUSTOMERS_MAX))
        standings, changes_read = [], 0
        for profile, points in zip(found, held, strict=True):
            standings.append(convert.standing_of(profile, points, around.kinds))
            changes_read += len(points.changes) if points is not None else 0
            if changes_read >= CHANGES_AT_ONCE:
                await asyncio.sleep(0)
                changes_read = 0
        return standings

    async def surroundings(self, team_id: UUID, definition: Definition) -> Surroundings:
        """See `Recorded`."""
        try:
            settings = (await self.settings.of_all([team_id]))[team_id]
        except Unavailable as error:
            raise ServiceUnavailable(str(error)) from error
        saved = await self._saved(team_id, definition)
        most, prices = settings.monthly_enrolments_max, await self._prices(team_id)
        return Surroundings(
            zone=settings.zone,
            plan=None if most is None else TeamPlan(settings.zone, most),
            kinds=await self._kinds(team_id, definition, saved),
            messages=await self._messages(team_id, definition),
            quotas=await self._quotas(team_id, definition),
            affordable=await self._affordable(team_id, prices.get(Channel.WHATSAPP)),
            prices=prices,
            frequency=await self._frequency(team_id),
            saved=saved,
            country=settings.country,
        )

    async def _saved(self, team_id: UUID, definition: Definition) -> dict[str, Expression]:
        """Saved audiences that conditions name, and those that these name."""
        found: dict[str, Expression] = {}
        waiting = list(map(named_audiences, convert.expressions_of(definition, {}).values()))
        while waiting:
            for audience_id in waiting.pop() - found.keys():
                try:
                    found[audience_id] = expression_of(await self.audiences.saved(team_id, UUID(audience_id)))
                except NotFound:
                    found[audience_id] = AnyOf(())
                except Unavailable as error:
                    raise ServiceUnavailable(str(error)) from error
                waiting.append(named_audiences(found[audience_id]))
        return found

    async def _frequency(self, team_id: UUID) -> tuple[FrequencyRule, ...]:
        request = gateway_calls.GetFrequencyCapRequest(team_id=str(team_id))
        answer = await call_once(
            lambda: retrying(lambda: self.gateway.GetFrequencyCap(request, timeout=CALL_DEADLINE_S))
        )
        rules = answer.frequency_cap.rules
        return tuple(
            FrequencyRule(rule.channel, rule.message_max, rule.period.ToTimedelta()) for rule in rules
        )

    async def _kinds(
        self, team_id: UUID, definition: Definition, saved: Mapping[str, Expression]
    ) -> dict[str, AttributeType]:
        """Of the attributes that conditions name, and that which holds zones, without those that are archived."""
        expressions = convert.expressions_of(definition, saved).values()
        named = {key for expression in expressions for key in attribute_keys(expression)}
        keys = sorted(named | ({definition.zone_attribute_key} - {""}))
        request = customers_service_pb2.CheckTraitsRequest(team_id=str(team_id), attribute_keys=keys)
        answer = await call_once(
            lambda: retrying(lambda: self.customers.CheckTraits(request, timeout=CALL_DEADLINE_S))
        )
        traits = traits_of(keys, answer)
        return {key: known.kind for key, known in traits.attributes.items() if not known.archived}

    async def _prices(self, team_id: UUID) -> dict[Channel, Price]:
        request = gateway_calls.ListMessagePricesRequest(team_id=str(team_id))
        answer = await call_once(
            lambda: retrying(lambda: self.gateway.ListMessagePrices(request, timeout=CALL_DEADLINE_S))
        )
        return {
            Channel(each.channel): Price(each.price.amount_micros, each.price.currency_code)
            for each in answer.prices
        }

    async def _messages(self, team_id: UUID, definition: Definition) -> dict[str, int]:
        """As many as a bot module has cards."""
        found: dict[str, int] = {}
        for node in definition.nodes:
            if isinstance(node.action, Message) and node.action.bot_module_id is not None:
                request = gateway_calls.GetBotModuleRequest(
                    team_id=str(team_id), bot_module_id=str(node.action.bot_module_id)
                )
                answer = await _if_there(self.gateway.GetBotModule, request)
                if answer is not None:
                    found[node.node_id] = len(answer.module.cards)
        return found

    async def _quotas(self, team_id: UUID, definition: Definition) -> dict[UUID, int]:
        found: dict[UUID, int] = {}
        for target in definition.targets:
            if target.channel is Channel.LINE and target.account_id is not None:
                request = gateway_calls.GetPlanQuotaRequest(
                    team_id=str(team_id), account_id=str(target.account_id)
                )
                answer = await _if_there(self.gateway.GetPlanQuota, request)
                if answer is not None and not answer.quota.unlimited:
                    found[target.account_id] = answer.quota.message_limit
        return found

    async def _affordable(self, team_id: UUID, price: Price | None) -> int | None:
        if price is None or price.micros == 0:
            return None
        request = gateway_calls.GetWalletRequest(team_id=str(team_id))
        answer = await call_once(
            lambda: retrying(lambda: self.gateway.GetWallet(request, timeout=CALL_DEADLINE_S))
        )
        balance = answer.wallet.balance
        return balance.amount_micros // price.micros if balance.currency_code == price.currency else 0


async def _if_there(call: Any, request: Any) -> Any:
    """An answer, None where what is asked about is not there."""

    async def asked() -> Any:
        try:
            return await retrying(lambda: call(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise

    return await call_once(asked)
