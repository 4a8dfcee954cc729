"""What our own services ask: the history of journeys, and the mail of system triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.common.feeds.serving import MailPage, Reading, serve_history, serve_mail
from libs.common.rpc.server import GrpcServer
from omnijourney.internal.v1 import history_service_pb2
from services.journey.convert.history import fact_message
from services.journey.servicer.base import Dependencies
from services.journey.store.mail import JourneyMailStore


class JourneyHistory:
    """The rows in order of commit, for `HistoryServicer`."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Any]:
        """See `History`."""
        return Reading(lambda: self._deps.history.page(cursors, size), self._deps.notifier)

    def answer(self, rows: Sequence[Any]) -> history_service_pb2.ListHistoryResponse:
        """See `History`."""
        return history_service_pb2.ListHistoryResponse(journey_facts=map(fact_message, rows))


class TriggerMails:
    """The mail of system triggers, for `MailServicer`."""

    def __init__(self, store: JourneyMailStore) -> None:
        """What reads it."""
        self._store = store

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int, limit: int) -> MailPage:
        """See `Mails`."""
        mails = await self._store.of_customer(team_id, customer_id, after_number, limit)
        return MailPage(mails, more=len(mails) == limit)

    async def of_partition(self, partition: int, after_position: int, limit: int) -> MailPage:
        """See `Mails`."""
        mails = await self._store.of_partition(partition, after_position, limit)
        return MailPage(mails, more=len(mails) == limit)


def serve(server: GrpcServer, deps: Dependencies) -> None:
    """Adds all of it to the server."""
    serve_history(server, JourneyHistory(deps), deps.draining)
    serve_mail(server, TriggerMails(deps.mail))
