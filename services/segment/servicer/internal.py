# ruff: noqa: N802 - the generated base names the methods
"""What our own services ask: effects of journeys, profiles, settings, definitions, the history and its mail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.feeds.serving import MailPage, Reading, serve_history, serve_mail
from libs.common.ids import PARTITIONS
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.server import GrpcServer
from omnijourney.internal.v1 import (
    customers_service_pb2,
    customers_service_pb2_grpc,
    profile_pb2,
)
from services.segment.convert.audiences import audience_findings
from services.segment.convert.checks import Check
from services.segment.convert.customers import attribute_message, profile_message, read_parts
from services.segment.convert.events import change_result_message, read_change
from services.segment.convert.facts import mail_of, read_kinds, row_values
from services.segment.convert.retention import retention_message
from services.segment.convert.teams import settings_message
from services.segment.domain.facts import Fact
from services.segment.domain.model import Change
from services.segment.domain.views import CustomerParts, MailFacts
from services.segment.servicer.base import Base, Dependencies
from services.segment.usecases.history import History

_BATCH_MAX: Final = 500
_KEYS_MAX: Final = 50_000
"""Of attributes that one journey names."""


class CustomersServicer(Base, customers_service_pb2_grpc.CustomersServiceServicer):
    """See `protos/omnijourney/internal/v1/customers_service.proto`."""

    async def ApplyChanges(
        self, request: customers_service_pb2.ApplyChangesRequest, context: Any
    ) -> customers_service_pb2.ApplyChangesResponse:
        """One result per change."""
        check = Check()
        check.count("changes", request.changes, most=_BATCH_MAX)
        check.done()
        read = [read_change(change) for change in request.changes]
        results = iter(
            await self._deps.writer.changes.submit([each for each in read if isinstance(each, Change)])
        )
        return customers_service_pb2.ApplyChangesResponse(
            results=[
                change_result_message(next(results) if isinstance(each, Change) else each) for each in read
            ]
        )

    async def BatchGetProfiles(
        self, request: customers_service_pb2.BatchGetProfilesRequest, context: Any
    ) -> customers_service_pb2.BatchGetProfilesResponse:
        """Profiles in order."""
        check = Check()
        check.count("items", request.items, most=_BATCH_MAX)
        keys = check.customers("items", request.items)
        parts = read_parts(check, "parts", request.parts)
        check.done()
        wanted = CustomerParts(
            tags=profile_pb2.PROFILE_PART_TAGS in parts,
            attributes=profile_pb2.PROFILE_PART_ATTRIBUTES in parts,
            identities=profile_pb2.PROFILE_PART_IDENTITIES in parts,
        )
        views = await self._deps.customers.views(keys, wanted)
        return customers_service_pb2.BatchGetProfilesResponse(
            profiles=[profile_message(*key, views.get(key), parts) for key in keys]
        )

    async def BatchGetAttributes(
        self, request: customers_service_pb2.BatchGetAttributesRequest, context: Any
    ) -> customers_service_pb2.BatchGetAttributesResponse:
        """Definitions in order; an empty message for one that is not there."""
        check = Check()
        check.count("items", request.items, most=_BATCH_MAX)
        keys = [
            (check.uuid(f"items[{index}].team_id", item.team_id), item.key)
            for index, item in enumerate(request.items)
        ]
        check.done()
        found = await self._deps.attributes.find(keys)
        answer = customers_service_pb2.BatchGetAttributesResponse()
        for key in keys:
            message = answer.attributes.add()
            if attribute := found.get(key):
                message.CopyFrom(attribute_message(attribute))
        return answer

    async def BatchGetTeamSettings(
        self, request: customers_service_pb2.BatchGetTeamSettingsRequest, context: Any
    ) -> customers_service_pb2.BatchGetTeamSettingsResponse:
        """Settings in order; an empty message for a team that is not there."""
        check = Check()
        check.count("team_ids", request.team_ids, most=_BATCH_MAX)
        ids = [check.uuid(f"team_ids[{index}]", text) for index, text in enumerate(request.team_ids)]
        check.done()
        found = await self._deps.teams.find(set(ids))
        answer = customers_service_pb2.BatchGetTeamSettingsResponse()
        for team_id in ids:
            message = answer.settings.add()
            if team := found.get(team_id):
                message.CopyFrom(settings_message(team_id, team.settings, team.revision))
        return answer

    async def CheckTraits(
        self, request: customers_service_pb2.CheckTraitsRequest, context: Any
    ) -> customers_service_pb2.CheckTraitsResponse:
        """What a journey's definition is held to."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.count("attribute_keys", request.attribute_keys, most=_KEYS_MAX)
        check.count("audiences", request.audiences, most=_BATCH_MAX)
        check.done()
        survey = await self._deps.audiences.survey(team_id, set(request.attribute_keys), request.audiences)
        answer = customers_service_pb2.CheckTraitsResponse()
        if survey is None:
            return answer
        answer.settings.CopyFrom(settings_message(team_id, survey.team.settings, survey.team.revision))
        for key in request.attribute_keys:
            message = answer.attributes.add()
            if attribute := survey.attributes.get(key):
                message.CopyFrom(attribute_message(attribute))
        answer.audiences.extend(map(audience_findings, survey.faults))
        return answer

    async def ListRetentions(
        self, request: customers_service_pb2.ListRetentionsRequest, context: Any
    ) -> customers_service_pb2.ListRetentionsResponse:
        """Teams that say something, in order of their ids."""
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "retentions")
        found = await self._deps.retentions.page(after, size + 1)
        page = page_of(found, size, lambda each: each[0], "retentions")
        return customers_service_pb2.ListRetentionsResponse(
            retentions=[
                customers_service_pb2.TeamRetention(
                    team_id=str(team_id), retention=retention_message(retention)
                )
                for team_id, retention in page.rows
            ],
            next_page_token=page.next_token,
        )

    async def CountOrders(
        self, request: customers_service_pb2.CountOrdersRequest, context: Any
    ) -> customers_service_pb2.CountOrdersResponse:
        """Orders and refunds of a team."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        orders, refunds = await self._deps.orders.count(team_id)
        return customers_service_pb2.CountOrdersResponse(order_count=orders, refund_count=refunds)


class FactHistory:
    """The history of segment, for `HistoryServicer`."""

    def __init__(self, history: History) -> None:
        """What reads it."""
        self._history = history

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Fact]:
        """See `libs.common.feeds.serving.History`."""
        check = Check()
        wanted = read_kinds(check, "kinds", kinds)
        check.done()
        return self._history.reading(cursors, size, wanted)

    @property
    def partitions(self) -> int:
        """See `libs.common.feeds.serving.History`."""
        return PARTITIONS

    def values(self, rows: Sequence[Fact]) -> Sequence[tuple[Any, ...]]:
        """See `libs.common.feeds.serving.History`."""
        return list(map(row_values, rows))

    def place(self, row: Fact) -> tuple[int, int]:
        """See `libs.common.feeds.serving.History`."""
        return row.partition, row.position


class FactMails:
    """The mail among the facts, for `MailServicer`."""

    def __init__(self, history: History) -> None:
        """What reads it."""
        self._history = history

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int, limit: int) -> MailPage:
        """See `libs.common.feeds.serving.Mails`."""
        return _mails(await self._history.customer_mail((team_id, customer_id), after_number, limit))

    async def of_partition(self, partition: int, after_position: int, limit: int) -> MailPage:
        """See `libs.common.feeds.serving.Mails`."""
        return _mails(await self._history.partition_mail(partition, after_position, limit))

    async def of_team(
        self, team_id: UUID, since: datetime, after: tuple[UUID, int] | None, limit: int
    ) -> MailPage:
        """See `libs.common.feeds.serving.TeamMails`."""
        return _mails(await self._history.team_mail(team_id, since, after, limit))


def serve(server: GrpcServer, dependencies: Dependencies, draining: asyncio.Event) -> None:
    """Adds all of it to the server; `draining` ends reads that wait."""
    server.add(
        customers_service_pb2_grpc.add_CustomersServiceServicer_to_server,
        CustomersServicer(dependencies),
        customers_service_pb2.DESCRIPTOR.services_by_name["CustomersService"],
    )
    serve_history(server, FactHistory(dependencies.history), draining)
    mails = FactMails(dependencies.history)
    serve_mail(server, mails, mails)


def _mails(page: MailFacts) -> MailPage:
    return MailPage([mail for fact in page.facts if (mail := mail_of(fact))], more=not page.is_last)
