"""Where consents are kept: the gateway, through which all messages pass (ADR 46)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import retrying
from libs.common.rpc.values import datetime_of, timestamp
from omnijourney.internal.v1 import consents_service_pb2 as pb
from omnijourney.internal.v1.consents_service_pb2_grpc import ConsentsServiceStub
from omnijourney.segment.v1 import consent_pb2
from services.segment.domain.consents import ChangePlace, Consent, ConsentChange, Consenting, NewConsent

Answer = TypeVar("Answer")
DEADLINE_S: Final = 3.0
ATTEMPTS_MAX: Final = 2
"""Somebody waits for the answer."""


class Recorded(NamedTuple):
    """What holds on a channel, and what held before; None: nothing was ever said."""

    consent: Consent
    before: Consent | None


class ConsentsClient:
    """Asks the gateway. Raises Unavailable while it does not answer."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to the gateway."""
        self._stub = ConsentsServiceStub(channel)

    async def record(self, customer: Consenting, said: NewConsent) -> Recorded:
        """Records what a customer wants; it holds for every send that has not left."""
        request = pb.RecordConsentRequest(
            customer=_customer(customer),
            channel=said.channel,  # type: ignore[arg-type]  # the numbers are those of the contract
            state=said.state,  # type: ignore[arg-type]  # as above
            source=said.source,  # type: ignore[arg-type]  # as above
            note=said.note,
            actor=said.actor,
        )
        reply = await _asked(lambda: self._stub.RecordConsent(request, timeout=DEADLINE_S))
        return Recorded(_consent(reply.consent), _consent(reply.before) if reply.HasField("before") else None)

    async def holding(self, customer: Consenting) -> list[Consent]:
        """What holds on each channel of which something was said."""
        request = pb.ReadConsentsRequest(customer=_customer(customer))
        reply = await _asked(lambda: self._stub.ReadConsents(request, timeout=DEADLINE_S))
        return [_consent(each) for each in reply.consents]

    async def changes(
        self, customer: Consenting, after: ChangePlace | None, most: int
    ) -> list[tuple[ChangePlace, ConsentChange]]:
        """Changes, newest first, after a place, each with its own."""
        request = pb.ReadConsentChangesRequest(customer=_customer(customer), limit=most)
        if after is not None:
            request.after_time.CopyFrom(timestamp(after.at))
            request.after_change_id = str(after.change_id)
        reply = await _asked(lambda: self._stub.ReadConsentChanges(request, timeout=DEADLINE_S))
        return [
            (
                ChangePlace(datetime_of(change.consent.update_time), UUID(change_id)),
                ConsentChange(_consent(change.consent), change.before_state, change.note, change.actor),
            )
            for change, change_id in zip(reply.changes, reply.change_ids, strict=True)
        ]


async def _asked(call: Callable[[], Awaitable[Answer]]) -> Answer:
    try:
        return await retrying(call, attempts=ATTEMPTS_MAX)
    except grpc.aio.AioRpcError as error:
        raise Unavailable.dependency("channel_gateway") from error


def _consent(message: consent_pb2.Consent) -> Consent:
    return Consent(message.channel, message.state, message.source, datetime_of(message.update_time))


def _customer(customer: Consenting) -> pb.ConsentingCustomer:
    return pb.ConsentingCustomer(
        team_id=str(customer.team_id),
        customer_id=str(customer.customer_id),
        persons=_persons(customer.persons),
    )


def _persons(persons: Sequence[tuple[int, str]]) -> list[pb.ChannelPerson]:
    return [
        pb.ChannelPerson(channel=channel, external_id=external_id)  # type: ignore[arg-type]  # as above
        for channel, external_id in persons
    ]
