"""The effects of turns as calls: hundreds in, one answer each out, one call a service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import grpc

from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import channel_pb2, error_reason_pb2, money_pb2
from omnijourney.internal.v1 import (
    change_pb2,
    customers_service_pb2,
    ledger_service_pb2,
    postings_pb2,
    profile_pb2,
    send_pb2,
    sends_service_pb2,
)
from omnijourney.points.v1 import posting_pb2 as postings
from omnijourney.segment.v1 import audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment_calls
from services.journey.clients.mail import ServiceUnavailable
from services.journey.domain import effects as fx

if TYPE_CHECKING:
    from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceAsyncStub
    from omnijourney.internal.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceAsyncStub
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub

BATCH_MAX: Final = 500
"""Items of one call, as the contracts say."""
ACTOR: Final = "journey"
"""Who posts to the ledger."""

E = TypeVar("E")


class GrpcEffects:
    """Asks segment, points and the gateway; each kind of effect in one call, all kinds at once."""

    def __init__(
        self,
        segment: SegmentServiceAsyncStub,
        customers: CustomersServiceAsyncStub,
        ledger: LedgerServiceAsyncStub,
        sends: SendsServiceAsyncStub,
    ) -> None:
        """The stubs send the token; every call has a deadline."""
        self._segment = segment
        self._customers = customers
        self._ledger = ledger
        self._sends = sends

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
        request = sends_service_pb2.SendMessagesRequest(sends=[_send(effect) for effect in effects])
        response = await retrying(lambda: self._sends.SendMessages(request, timeout=CALL_DEADLINE_S))
        return [fx.SendAnswer(fx.SendState(result.state), result.reason) for result in response.results]

    async def _change(self, effects: Sequence[_Change]) -> list[fx.Answer]:
        request = customers_service_pb2.ApplyChangesRequest(changes=[_change(effect) for effect in effects])
        response = await retrying(lambda: self._customers.ApplyChanges(request, timeout=CALL_DEADLINE_S))
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
        return [_verdict(told) for told in response.judgements]

    async def _post(self, effects: Sequence[_Posting]) -> list[fx.Answer]:
        return await self._post_all([_posting(effect) for effect in effects])

    async def _post_with_phone(self, effects: Sequence[fx.ChangePoints]) -> list[fx.Answer]:
        """A customer without a phone gets no points: who has one is asked first, where nobody has told."""
        unknown = [effect for effect in effects if effect.has_phone is None]
        phones = await self._phones(unknown) if unknown else {}
        return await self._post_all(
            [
                _node_posting(
                    effect, has_phone=phones[effect.key] if effect.has_phone is None else effect.has_phone
                )
                for effect in effects
            ]
        )

    async def _phones(self, effects: Sequence[fx.ChangePoints]) -> dict[UUID, bool]:
        request = customers_service_pb2.BatchGetProfilesRequest(
            items=[
                customers_service_pb2.CustomerRef(team_id=str(e.team_id), customer_id=str(e.customer_id))
                for e in effects
            ],
            parts=[profile_pb2.PROFILE_PART_BASICS],
        )
        response = await retrying(lambda: self._customers.BatchGetProfiles(request, timeout=CALL_DEADLINE_S))
        profiles = zip(effects, response.profiles, strict=True)
        return {effect.key: bool(profile.phone) for effect, profile in profiles}

    async def _post_all(self, items: list[postings_pb2.Posting]) -> list[fx.Answer]:
        request = ledger_service_pb2.PostEntriesRequest(postings=items)
        response = await retrying(lambda: self._ledger.PostEntries(request, timeout=CALL_DEADLINE_S))
        return [_posted(result) for result in response.results]


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


def _verdict(told: segment_calls.Judgement) -> fx.Verdict:
    looked_up = told.verdict != segment_calls.VERDICT_IMPOSSIBLE
    return fx.Verdict(
        told.verdict == segment_calls.VERDICT_YES,
        _reason(told.reason),
        told.has_phone if looked_up else None,
    )


def _send(effect: fx.Send) -> send_pb2.Send:
    send = send_pb2.Send(
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


def _change(effect: _Change) -> change_pb2.Change:
    change = change_pb2.Change(
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


def _posting(effect: _Posting) -> postings_pb2.Posting:
    posting = postings_pb2.Posting(
        key=str(effect.key),
        team_id=str(effect.team_id),
        customer_id=str(effect.customer_id),
        occurred_at=timestamp(effect.at),
        actor=ACTOR,
    )
    amount = money_pb2.Money(currency_code=effect.currency, amount_micros=effect.amount_micros)
    match effect:
        case fx.EarnPoints():
            earn = postings_pb2.EarnPosting(
                order_key=str(effect.key),
                shop_id=effect.shop_id,
                order_id=effect.order_id,
                amount=amount,
                has_phone=effect.has_phone,
            )
            posting.earn.CopyFrom(earn)
        case fx.RefundPoints():
            refund = postings_pb2.RefundPosting(
                refund_key=str(effect.key),
                order_key=str(effect.order_key) if effect.order_key else "",
                shop_id=effect.shop_id,
                refund_id=effect.refund_id,
                amount=amount,
            )
            posting.refund.CopyFrom(refund)
    return posting


def _node_posting(effect: fx.ChangePoints, *, has_phone: bool) -> postings_pb2.Posting:
    posting = postings_pb2.Posting(
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
