# ruff: noqa: N802 - the generated base names the methods
"""What our own services ask: effects of journeys, profiles, settings, definitions, the history and its mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import transaction
from libs.common.feeds.serving import Reading, serve_history, serve_mail
from libs.common.mailbox.mail import Mail
from libs.common.rpc.server import GrpcServer
from omnijourney.internal.v1 import (
    customers_service_pb2,
    customers_service_pb2_grpc,
    history_service_pb2,
    profile_pb2,
)
from services.segment.convert.checks import Check
from services.segment.convert.customers import attribute_message, profile_message, read_parts
from services.segment.convert.events import change_result_message, read_change
from services.segment.convert.facts import fact_message, kind_of, mail_of, read_kinds, tags_of
from services.segment.convert.teams import settings_message
from services.segment.domain.facts import Fact
from services.segment.domain.model import Change
from services.segment.servicer.base import Base, Parts
from services.segment.store import attributes, customers, history, teams

_BATCH_MAX: Final = 500
_READS_MAX: Final = 8
"""Pages that are looked at for facts of the kinds wanted before a caller goes on from where that led: within a call's
deadline, however long the history is."""


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
            await self._parts.writer.changes.submit([each for each in read if isinstance(each, Change)])
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
        wanted = customers.Wanted(
            tags=profile_pb2.PROFILE_PART_TAGS in parts,
            attributes=profile_pb2.PROFILE_PART_ATTRIBUTES in parts,
            identities=profile_pb2.PROFILE_PART_IDENTITIES in parts,
        )
        views = await customers.read_views(self._parts.pool, keys, wanted)
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
        async with transaction(self._parts.pool, {team for team, _ in keys}) as connection:
            found = await attributes.find_attributes(connection, keys)
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
        async with transaction(self._parts.pool, set(ids)) as connection:
            found = await teams.load_teams(connection, ids)
        answer = customers_service_pb2.BatchGetTeamSettingsResponse()
        for team_id in ids:
            message = answer.settings.add()
            if team := found.get(team_id):
                message.CopyFrom(settings_message(team_id, team.settings, team.revision))
        return answer


class FactHistory:
    """The history of segment, for `HistoryServicer`."""

    def __init__(self, parts: Parts) -> None:
        """`parts` of the servicer."""
        self._parts = parts

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Fact]:
        """See `History`."""
        check = Check()
        wanted = read_kinds(check, "kinds", kinds)
        check.done()
        tags = None if wanted is None else tags_of(wanted)
        reached = dict(cursors)

        async def rows() -> tuple[Sequence[Fact], dict[int, int]]:
            nonlocal reached
            found: list[Fact] = []
            for _ in range(_READS_MAX):
                page = await history.read_facts(self._parts.pool, reached, size, tags=tags)
                reached = page.cursors
                found = [fact for fact in page.facts if wanted is None or kind_of(fact.body) in wanted]
                if found or page.is_last:
                    break
            return found, reached

        return Reading(rows, self._parts.notifiers.of(tags))

    def answer(self, rows: Sequence[Fact]) -> history_service_pb2.ListHistoryResponse:
        """See `History`."""
        return history_service_pb2.ListHistoryResponse(customer_facts=map(fact_message, rows))


class FactMails:
    """The mail among the facts, for `MailServicer`."""

    def __init__(self, parts: Parts) -> None:
        """`parts` of the servicer."""
        self._parts = parts

    async def of_customer(
        self, team_id: UUID, customer_id: UUID, after_number: int, limit: int
    ) -> Sequence[Mail]:
        """See `Mails`."""
        facts = await history.customer_mail(self._parts.pool, team_id, customer_id, after_number, limit)
        return _mails(facts)

    async def of_partition(self, partition: int, after_position: int, limit: int) -> Sequence[Mail]:
        """See `Mails`."""
        found: list[Fact] = []
        while True:
            page = await history.read_facts(
                self._parts.pool, {partition: after_position}, limit - len(found), only_mail=True
            )
            found += page.facts
            after_position = page.cursors[partition]
            if page.is_last or len(found) == limit:
                return _mails(found)


def serve(server: GrpcServer, parts: Parts) -> None:
    """Adds all of it to the server."""
    server.add(
        customers_service_pb2_grpc.add_CustomersServiceServicer_to_server,
        CustomersServicer(parts),  # type: ignore[abstract]  # what is missing answers UNIMPLEMENTED
        customers_service_pb2.DESCRIPTOR.services_by_name["CustomersService"],
    )
    serve_history(server, FactHistory(parts), parts.draining)
    serve_mail(server, FactMails(parts))


def _mails(facts: Sequence[Fact]) -> list[Mail]:
    return [mail for fact in facts if (mail := mail_of(fact))]
