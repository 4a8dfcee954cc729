"""The other services, as a turn needs them: hundreds of effects in, one answer each out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from uuid import UUID

import grpc

from libs.common.mailbox.mail import Mail, MailSource, decode_all
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway_calls
from omnijourney.channel_gateway.v1 import delivery_pb2 as deliveries
from omnijourney.common.v1 import channel_pb2, error_reason_pb2, history_pb2, money_pb2
from omnijourney.points.v1 import points_service_pb2 as points_calls
from omnijourney.points.v1 import posting_pb2 as postings
from omnijourney.segment.v1 import audience_pb2, event_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment_calls
from services.journey.domain import effects as fx

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub
    from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceAsyncStub
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub

BATCH_MAX: Final = 500
"""Items of one call, as the contracts say."""

E = TypeVar("E")
ACTOR: Final = "journey"


class ServiceUnavailable(Exception):
    """A service did not answer a batch; asking again later may help, and nobody's mail is to blame."""


class Effects(Protocol):
    """What a turn asks."""

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """One answer for each effect, in order; an exception where a call failed (`ServiceUnavailable`, or a fault)."""
        ...


class MailReader(Protocol):
    """The repair read of a source."""

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> list[Mail]:
        """Mail of a customer after a number. Raises `ServiceUnavailable`."""
        ...

    async def of_partition(self, partition: int, after_position: int) -> list[Mail]:
        """The next page of a partition's mail; empty at the end. Raises `ServiceUnavailable`."""
        ...


class SendStopper(Protocol):
    """What stops sends that are not on the wire yet."""

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """Returns when no attempt of an epoch before `epoch` can start. Raises `ServiceUnavailable`."""
        ...


class TeamZones(Protocol):
    """The zones of teams."""

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """IANA zone of each team. Raises `ServiceUnavailable`."""
        ...


class GrpcEffects:
    """Asks segment, points and the gateway; each kind of effect in one call, all kinds at once."""

    def __init__(
        self,
        segment: SegmentServiceAsyncStub,
        points: PointsServiceAsyncStub,
        gateway: ChannelGatewayServiceAsyncStub,
    ) -> None:
        """The stubs send the token; every call has a deadline."""
        self._segment = segment
        self._points = points
        self._gateway = gateway

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """See `Effects`."""
        groups: dict[_Asker[Any], list[int]] = {}
        for index, effect in enumerate(effects):
            groups.setdefault(self._asker(effect), []).append(index)
        answers: list[fx.Answer | Exception] = [ServiceUnavailable()] * len(effects)
        batches = [
            (ask, indexes[start : start + BATCH_MAX])
            for ask, indexes in groups.items()
            for start in range(0, len(indexes), BATCH_MAX)
        ]
        replies = await asyncio.gather(
            *(_ask(ask, [effects[index] for index in indexes]) for ask, indexes in batches)
        )
        for (_, indexes), reply in zip(batches, replies, strict=True):
            for index, answer in zip(indexes, reply, strict=True):
                answers[index] = answer
        return answers

    def _asker(self, effect: fx.Effect) -> _Asker[Any]:
        match effect:
            case fx.Send():
                return self._send
            case fx.ChangeTags() | fx.SetAttribute() | fx.MarkMarketed():
                return self._change
            case fx.Judge():
                return self._judge
            case fx.EarnPoints() | fx.RefundPoints():
                return self._post
            case fx.ChangePoints():
                return self._post_with_phone

    async def _send(self, effects: Sequence[fx.Send]) -> list[fx.Answer]:
        request = gateway_calls.SendMessagesRequest(sends=[_send(effect) for effect in effects])
        response = await retrying(lambda: self._gateway.SendMessages(request, timeout=CALL_DEADLINE_S))
        return [fx.SendAnswer(_SEND_STATES[result.state], result.reason) for result in response.results]

    async def _change(self, effects: Sequence[_Change]) -> list[fx.Answer]:
        request = segment_calls.ApplyChangesRequest(changes=[_change(effect) for effect in effects])
        response = await retrying(lambda: self._segment.ApplyChanges(request, timeout=CALL_DEADLINE_S))
        return [fx.ChangeAnswer(fx.ChangeState(r.status), _reason(r.reason)) for r in response.results]

    async def _judge(self, effects: Sequence[fx.Judge]) -> list[fx.Answer]:
        index_of: dict[bytes, int] = {}
        for effect in effects:
            index_of.setdefault(effect.audience, len(index_of))
        request = segment_calls.JudgeCustomersRequest(
            audiences=[audience_pb2.Audience.FromString(audience) for audience in index_of],
            items=[
                segment_calls.JudgeItem(
                    team_id=str(effect.team_id),
                    customer_id=str(effect.customer_id),
                    audience_index=index_of[effect.audience],
                )
                for effect in effects
            ],
        )
        response = await retrying(lambda: self._segment.JudgeCustomers(request, timeout=CALL_DEADLINE_S))
        return [
            fx.Verdict(verdict.verdict == segment_calls.VERDICT_YES, _reason(verdict.reason))
            for verdict in response.judgements
        ]

    async def _post(self, effects: Sequence[_Posting]) -> list[fx.Answer]:
        return await self._post_all([_posting(effect) for effect in effects])

    async def _post_with_phone(self, effects: Sequence[fx.ChangePoints]) -> list[fx.Answer]:
        """A customer without a phone gets no points, so the phone is asked first."""
        request = segment_calls.BatchGetProfilesRequest(
            items=[
                segment_calls.CustomerRef(team_id=str(e.team_id), customer_id=str(e.customer_id))
                for e in effects
            ]
        )
        response = await retrying(lambda: self._segment.BatchGetProfiles(request, timeout=CALL_DEADLINE_S))
        return await self._post_all(
            [
                _node_posting(effect, has_phone=bool(profile.phone))
                for effect, profile in zip(effects, response.profiles, strict=True)
            ]
        )

    async def _post_all(self, items: list[postings.Posting]) -> list[fx.Answer]:
        request = points_calls.PostEntriesRequest(postings=items)
        response = await retrying(lambda: self._points.PostEntries(request, timeout=CALL_DEADLINE_S))
        return [_posted(result) for result in response.results]


# By name: the contract numbers the states like the outcomes in mail, the engine does not.
_SEND_STATES: Final[dict[int, fx.SendState]] = {
    deliveries.SendState.Value(f"SEND_STATE_{state.name}"): state for state in fx.SendState
}
_Change = fx.ChangeTags | fx.SetAttribute | fx.MarkMarketed
_Posting = fx.EarnPoints | fx.RefundPoints
_Asker = Callable[[Sequence[E]], Awaitable[list[fx.Answer]]]


async def _ask(ask: _Asker[E], effects: Sequence[E]) -> list[fx.Answer | Exception]:
    """A failed call fails its own effects only."""
    try:
        answers = await ask(effects)
    except grpc.aio.AioRpcError as error:
        return [_failure(error)] * len(effects)
    if len(answers) != len(effects):
        return [RuntimeError(f"{len(answers)} answers to {len(effects)} effects")] * len(effects)
    return list(answers)


def _failure(error: grpc.aio.AioRpcError) -> Exception:
    passing = {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
    failure = remote_error(error)
    text = f"{error.code().name} {failure.reason}: {error.details()}"
    return ServiceUnavailable(text) if error.code() in passing else RuntimeError(text)


def _send(effect: fx.Send) -> deliveries.Send:
    send = deliveries.Send(
        effect_key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        enrolment_id=str(effect.enrolment_id),
        journey_id=str(effect.journey_id),
        node_id=effect.node_id,
        channel=channel_pb2.Channel.ValueType(effect.channel),
        account_id=str(effect.account_id),
        cap=effect.cap,
        not_after=timestamp(effect.not_after) if effect.not_after else None,
        stop_epoch=effect.stop_epoch,
    )
    if effect.template is not None:
        send.template.template_id = str(effect.template.template_id)
        send.template.parameters.extend(effect.template.parameters)
    else:
        send.bot_module_id = str(effect.bot_module_id)
    return send


def _change(effect: _Change) -> event_pb2.Change:
    change = event_pb2.Change(
        effect_key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        depth=effect.depth + 1,
        occur_time=timestamp(effect.at),
    )
    match effect:
        case fx.ChangeTags():
            change.tags.add.extend(effect.add)
            change.tags.remove.extend(effect.remove)
        case fx.SetAttribute():
            change.set_attribute.key = effect.attribute
            change.set_attribute.text = effect.text
        case fx.MarkMarketed():
            change.mark_marketed.at.CopyFrom(timestamp(effect.at))
    return change


def _posting(effect: _Posting) -> postings.Posting:
    posting = postings.Posting(
        key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        occurred_at=timestamp(effect.at),
        actor=ACTOR,
    )
    amount = money_pb2.Money(currency_code=effect.currency, amount_micros=effect.amount_micros)
    match effect:
        case fx.EarnPoints():
            earn = postings.EarnPosting(
                order_key=str(effect.key),
                shop_id=effect.shop_id,
                order_id=effect.order_id,
                amount=amount,
                has_phone=effect.has_phone,
            )
            posting.earn.CopyFrom(earn)
        case fx.RefundPoints():
            refund = postings.RefundPosting(
                refund_key=str(effect.key),
                order_key=str(effect.order_key) if effect.order_key else "",
                shop_id=effect.shop_id,
                refund_id=effect.refund_id,
                amount=amount,
            )
            posting.refund.CopyFrom(refund)
    return posting


def _node_posting(effect: fx.ChangePoints, *, has_phone: bool) -> postings.Posting:
    posting = postings.Posting(
        key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        occurred_at=timestamp(effect.at),
        actor=ACTOR,
    )
    target = posting.journey_add if effect.delta > 0 else posting.journey_deduct
    target.points = abs(effect.delta)
    target.journey_id = str(effect.journey_id)
    target.journey_name = effect.journey_name
    target.enrolment_id = str(effect.enrolment_id)
    target.node_id = effect.node_id
    target.has_phone = has_phone
    return posting


def _posted(result: postings.PostingResult) -> fx.ChangeAnswer:
    reason = (
        ""
        if not result.reason
        else postings.PostingReason.Name(result.reason).removeprefix("POSTING_REASON_")
    )
    match result.status:
        case postings.POSTING_STATUS_POSTED:
            return fx.ChangeAnswer(fx.ChangeState.APPLIED, reason)
        case postings.POSTING_STATUS_REJECTED if result.reason == postings.POSTING_REASON_INSUFFICIENT:
            return fx.ChangeAnswer(fx.ChangeState.INSUFFICIENT, reason)
        case postings.POSTING_STATUS_SKIPPED:
            return fx.ChangeAnswer(fx.ChangeState.SKIPPED, reason)
        case _:
            return fx.ChangeAnswer(fx.ChangeState.REFUSED, reason)


def _reason(value: error_reason_pb2.ErrorReason.ValueType) -> str:
    return error_reason_pb2.ErrorReason.Name(value).removeprefix("ERROR_REASON_") if value else ""


class SegmentMail:
    """Mail that segment numbered."""

    source: Final = MailSource.SEGMENT

    def __init__(self, stub: SegmentServiceAsyncStub) -> None:
        """`stub` sends the token."""
        self._stub = stub

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> list[Mail]:
        """See `MailReader`."""
        cursor = segment_calls.CustomerMailCursor(
            team_id=str(team_id), customer_id=str(customer_id), after_number=after_number
        )
        return await self._list(segment_calls.ListMailRequest(customer=cursor))

    async def of_partition(self, partition: int, after_position: int) -> list[Mail]:
        """See `MailReader`."""
        cursor = history_pb2.HistoryCursor(partition=partition, after_position=after_position)
        return await self._list(segment_calls.ListMailRequest(partition=cursor))

    async def _list(self, request: segment_calls.ListMailRequest) -> list[Mail]:
        response = await _once(lambda: self._stub.ListMail(request, timeout=CALL_DEADLINE_S))
        return decode_all(response.mails)


class GatewayMail:
    """Mail that the gateway numbered, and its brake."""

    source: Final = MailSource.GATEWAY

    def __init__(self, stub: ChannelGatewayServiceAsyncStub) -> None:
        """`stub` sends the token."""
        self._stub = stub

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> list[Mail]:
        """See `MailReader`."""
        return await self._list(
            gateway_calls.ListMailRequest(
                team_id=str(team_id), customer_id=str(customer_id), after_number=after_number
            )
        )

    async def of_partition(self, partition: int, after_position: int) -> list[Mail]:
        """See `MailReader`."""
        return await self._list(
            gateway_calls.ListMailRequest(partition=partition, after_position=after_position)
        )

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        request = gateway_calls.StopSendsRequest(
            team_id=str(team_id), journey_id=str(journey_id), epoch=epoch
        )
        await _retried(lambda: self._stub.StopSends(request, timeout=CALL_DEADLINE_S))

    async def _list(self, request: gateway_calls.ListMailRequest) -> list[Mail]:
        response = await _once(lambda: self._stub.ListMail(request, timeout=CALL_DEADLINE_S))
        return decode_all(response.mails)


class SegmentZones:
    """Zones from the teams' settings, kept for a few seconds."""

    KEEP_S: Final = 5.0

    def __init__(self, stub: SegmentServiceAsyncStub) -> None:
        """`stub` sends the token."""
        self._stub = stub
        self._kept: dict[UUID, tuple[float, str]] = {}

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """See `TeamZones`."""
        now = asyncio.get_running_loop().time()
        wanted = set(teams)
        old = [team for team in wanted if team not in self._kept or self._kept[team][0] < now]
        if old:
            request = segment_calls.BatchGetTeamSettingsRequest(team_ids=[str(team) for team in old])
            response = await _retried(
                lambda: self._stub.BatchGetTeamSettings(request, timeout=CALL_DEADLINE_S)
            )
            for team, settings in zip(old, response.settings, strict=True):
                self._kept[team] = (now + self.KEEP_S, settings.time_zone or "UTC")
        return {team: self._kept[team][1] for team in wanted}


R = TypeVar("R")


async def _once(call: Callable[[], Awaitable[R]]) -> R:
    """For reads of the worker, which comes again by itself."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        raise ServiceUnavailable(f"{error.code().name}: {error.details()}") from error


async def _retried(call: Callable[[], Awaitable[R]]) -> R:
    return await _once(lambda: retrying(call))
