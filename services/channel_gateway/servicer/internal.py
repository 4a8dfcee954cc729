# ruff: noqa: N802 - the generated base names the methods
"""What our own services ask: sends, the brake, the history and its mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.common import tracing
from libs.common.feeds.serving import MailPage, Reading, SelectedRows, serve_history, serve_mail
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.followers import serve_followers
from libs.common.rpc.persons import serve_persons
from libs.common.rpc.server import GrpcServer
from omnijourney.internal.v1 import (
    consents_service_pb2,
    consents_service_pb2_grpc,
    merges_service_pb2,
    merges_service_pb2_grpc,
    opens_service_pb2,
    opens_service_pb2_grpc,
    sends_service_pb2,
    sends_service_pb2_grpc,
)
from services.channel_gateway.convert import deliveries as convert
from services.channel_gateway.convert import references
from services.channel_gateway.domain.model import Send, SendAnswer
from services.channel_gateway.servicer.base import Dependencies
from services.channel_gateway.servicer.consents import ConsentsServicer
from services.channel_gateway.servicer.merges import MergesServicer
from services.channel_gateway.servicer.opens import OpensServicer
from services.channel_gateway.worker.send_traces import begun, write_reservations


class SendsServicer(sends_service_pb2_grpc.SendsServiceServicer):
    """See `protos/omnijourney/internal/v1/sends_service.proto`."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` outlive the servicer."""
        self._deps = deps

    async def SendMessages(
        self, request: sends_service_pb2.SendMessagesRequest, context: Any
    ) -> sends_service_pb2.SendMessagesResponse:
        """Reserves and stores sends."""
        read = convert.sends_of(request)
        sound = [each for each in read if isinstance(each, Send)]
        answers = iter(await self._send(sound) if sound else ())
        return sends_service_pb2.SendMessagesResponse(
            results=[convert.result_of(next(answers) if isinstance(each, Send) else each) for each in read]
        )

    async def _send(self, sends: Sequence[Send]) -> Sequence[SendAnswer]:
        if not tracing.is_on() or all(send.trace is None for send in sends):
            return await self._deps.reservation.send(sends)
        began_ns = tracing.now_ns()
        sends, parents = begun(sends)
        answers = await self._deps.reservation.send(sends)
        write_reservations(sends, parents, answers, began_ns)
        self._deps.send_traces.note(sends, parents, answers)
        return answers

    async def StopSends(
        self, request: sends_service_pb2.StopSendsRequest, context: Any
    ) -> sends_service_pb2.StopSendsResponse:
        """Cancels a journey's sends of older epochs."""
        cancelled, on_the_wire = await self._deps.sender.stop(*_journey_and_epoch(request))
        return sends_service_pb2.StopSendsResponse(cancelled=cancelled, on_the_wire=on_the_wire)

    async def RecallSends(
        self, request: sends_service_pb2.RecallSendsRequest, context: Any
    ) -> sends_service_pb2.RecallSendsResponse:
        """Takes back a journey's sends of older epochs."""
        recalled = await self._deps.sender.recall(*_journey_and_epoch(request))
        return sends_service_pb2.RecallSendsResponse(recalled=recalled)

    async def CancelSend(
        self, request: sends_service_pb2.CancelSendRequest, context: Any
    ) -> sends_service_pb2.CancelSendResponse:
        """Cancels one send."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        effect_key = check.uuid("effect_key", request.effect_key)
        check.done()
        cancelled = await self._deps.sender.cancel(team_id, effect_key)
        return sends_service_pb2.CancelSendResponse(cancelled=cancelled)

    async def FindLostSends(
        self, request: sends_service_pb2.FindLostSendsRequest, context: Any
    ) -> sends_service_pb2.FindLostSendsResponse:
        """Finds sends of which nothing will be heard any more."""
        places = await self._deps.lost_sends.find(convert.awaited_sends_of(request))
        return sends_service_pb2.FindLostSendsResponse(places=places)

    async def CheckMessages(
        self, request: sends_service_pb2.CheckMessagesRequest, context: Any
    ) -> sends_service_pb2.CheckMessagesResponse:
        """Looks at what a journey names before it is published."""
        team_id, accounts, messages = references.references_of(request)
        found = await self._deps.references.check(team_id, accounts, messages)
        return references.findings_message(*found)


def _journey_and_epoch(
    request: sends_service_pb2.StopSendsRequest | sends_service_pb2.RecallSendsRequest,
) -> tuple[UUID, UUID, int]:
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    journey_id = check.uuid("journey_id", request.journey_id)
    epoch = check.whole("epoch", request.epoch, least=1, most=2**62)
    check.done()
    return team_id, journey_id, epoch


class GatewayHistory(SelectedRows):
    """The facts in order of commit, for `HistoryServicer`."""

    def __init__(self, deps: Dependencies) -> None:
        """Of the servicer."""
        self._deps = deps

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Any]:
        """See `History`."""
        return Reading(lambda: self._deps.feed.page(cursors, size), self._deps.notifier)


class ContentHistory(GatewayHistory):
    """Of the same rows those that tell of content that is gone: what is sent all day wakes nobody who waits for it."""

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Any]:
        """See `History`."""
        return Reading(lambda: self._deps.feed.content_page(cursors), self._deps.content_notifier)


class OutcomeMails:
    """The mail about sends, for `MailServicer`."""

    def __init__(self, deps: Dependencies) -> None:
        """Of the servicer."""
        self._deps = deps

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int, limit: int) -> MailPage:
        """See `Mails`."""
        mails = await self._deps.feed.customer_mail(team_id, customer_id, after_number, limit)
        return MailPage(mails, more=len(mails) == limit)

    async def of_partition(self, partition: int, after_position: int, limit: int) -> MailPage:
        """See `Mails`."""
        mails = await self._deps.feed.fetch_after({partition: after_position}, limit)
        return MailPage(mails, more=len(mails) >= limit)


def serve(server: GrpcServer, deps: Dependencies) -> None:
    """Adds all of it to the server."""
    server.add(
        sends_service_pb2_grpc.add_SendsServiceServicer_to_server,
        SendsServicer(deps),
        sends_service_pb2.DESCRIPTOR.services_by_name["SendsService"],
    )
    server.add(
        consents_service_pb2_grpc.add_ConsentsServiceServicer_to_server,
        ConsentsServicer(deps),
        consents_service_pb2.DESCRIPTOR.services_by_name["ConsentsService"],
    )
    server.add(
        merges_service_pb2_grpc.add_MergesServiceServicer_to_server,
        MergesServicer(deps),
        merges_service_pb2.DESCRIPTOR.services_by_name["MergesService"],
    )
    server.add(
        opens_service_pb2_grpc.add_OpensServiceServicer_to_server,
        OpensServicer(deps.opens),
        opens_service_pb2.DESCRIPTOR.services_by_name["OpensService"],
    )
    serve_history(server, GatewayHistory(deps), deps.draining, ContentHistory(deps))
    serve_mail(server, OutcomeMails(deps))
    serve_persons(server, deps.persons)
    serve_followers(server, deps.webhook_store.taken)
