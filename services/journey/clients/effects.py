"""The effects of turns as calls: hundreds in, one answer each out, one call a service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from uuid import UUID

import grpc

from libs.common.rpc.client import CALL_DEADLINE_S, is_too_large, retrying
from libs.common.rpc.errors import remote_error
from omnijourney.internal.v1 import (
    customers_service_pb2,
    ledger_service_pb2,
    postings_pb2,
    profile_pb2,
    sends_service_pb2,
)
from omnijourney.points.v1 import posting_pb2
from omnijourney.segment.v1 import audience_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment_calls
from services.journey.clients.calls import ServiceUnavailable
from services.journey.convert import effects as convert
from services.journey.convert.judging import known_verdict
from services.journey.domain import effects as fx

if TYPE_CHECKING:
    from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceAsyncStub
    from omnijourney.internal.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub
    from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceAsyncStub
    from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceAsyncStub

BATCH_MAX: Final = 500
"""Items of one call, as the contracts say."""
FAILED_CALLS_MAX: Final = 200
"""Calls of one batch that fail before the service is taken to be at fault: some twenty faulty effects among 500."""
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
E = TypeVar("E")


class Effects(Protocol):
    """What a turn asks."""

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """One answer for each effect, in order; an exception where a call failed (`ServiceUnavailable`, or a fault)."""
        ...


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
            case fx.ChangeTags() | fx.SetAttribute():
                return self._change
            case fx.EvaluateAudience():
                return self._evaluate
            case fx.EarnPoints() | fx.RefundPoints():
                return self._post
            case fx.ChangePoints():
                return self._post_with_phone
            case fx.FindZone():
                return self._find_zones
            case fx.TakePlace():
                raise TypeError("places are given by no other service")

    async def _send(self, effects: Sequence[fx.Send]) -> list[fx.Answer]:
        request = sends_service_pb2.SendMessagesRequest(
            sends=[convert.send_message(effect) for effect in effects]
        )
        response = await retrying(lambda: self._sends.SendMessages(request, timeout=CALL_DEADLINE_S))
        return [convert.send_answer(result) for result in response.results]

    async def _change(self, effects: Sequence[convert.SegmentChange]) -> list[fx.Answer]:
        request = customers_service_pb2.ApplyChangesRequest(
            changes=[convert.change_message(effect) for effect in effects]
        )
        response = await retrying(lambda: self._customers.ApplyChanges(request, timeout=CALL_DEADLINE_S))
        return [
            fx.ChangeAnswer(fx.ChangeState(r.status), convert.reason_text(r.reason)) for r in response.results
        ]

    async def _evaluate(self, effects: Sequence[fx.EvaluateAudience]) -> list[fx.Answer]:
        """Asks segment for what cannot be told from what came with the mail."""
        known = [known_verdict(effect) for effect in effects]
        asked = [effect for effect, verdict in zip(effects, known, strict=True) if verdict is None]
        answered = iter(await self._ask_segment(asked) if asked else ())
        return [next(answered) if verdict is None else verdict for verdict in known]

    async def _ask_segment(self, effects: Sequence[fx.EvaluateAudience]) -> list[fx.Verdict]:
        index_of: dict[bytes, int] = {}
        for effect in effects:
            index_of.setdefault(effect.audience, len(index_of))
        request = segment_calls.EvaluateCustomersRequest(
            audiences=[audience_pb2.Audience.FromString(audience) for audience in index_of],
            items=[
                segment_calls.EvaluationItem(
                    team_id=str(effect.team_id),
                    customer_id=str(effect.customer_id),
                    audience_index=index_of[effect.audience],
                )
                for effect in effects
            ],
        )
        response = await retrying(lambda: self._segment.EvaluateCustomers(request, timeout=CALL_DEADLINE_S))
        return [convert.verdict_from(evaluation) for evaluation in response.evaluations]

    async def _post(self, effects: Sequence[convert.OrderPosting]) -> list[fx.Answer | Exception]:
        return await self._post_all([convert.posting_message(effect) for effect in effects])

    async def _post_with_phone(self, effects: Sequence[fx.ChangePoints]) -> list[fx.Answer | Exception]:
        """A customer without a phone gets no points, so segment is asked first where that is open."""
        unknown = [effect for effect in effects if effect.has_phone is None]
        phones = await self._phones(unknown) if unknown else {}
        return await self._post_all(
            [
                convert.node_posting_message(
                    effect, has_phone=phones[effect.key] if effect.has_phone is None else effect.has_phone
                )
                for effect in effects
            ]
        )

    async def _find_zones(self, effects: Sequence[fx.FindZone]) -> list[fx.Answer]:
        request = customers_service_pb2.BatchGetProfilesRequest(
            items=[
                customers_service_pb2.CustomerRef(team_id=str(e.team_id), customer_id=str(e.customer_id))
                for e in effects
            ],
            parts=[profile_pb2.PROFILE_PART_BASICS, profile_pb2.PROFILE_PART_ATTRIBUTES],
        )
        response = await retrying(lambda: self._customers.BatchGetProfiles(request, timeout=CALL_DEADLINE_S))
        return [convert.zone_from(*pair) for pair in zip(effects, response.profiles, strict=True)]

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

    async def _post_all(self, items: list[postings_pb2.Posting]) -> list[fx.Answer | Exception]:
        request = ledger_service_pb2.PostEntriesRequest(postings=items)
        response = await retrying(lambda: self._ledger.PostEntries(request, timeout=CALL_DEADLINE_S))
        return [
            RuntimeError("points could not store the posting")
            if result.status == posting_pb2.POSTING_STATUS_FAILED
            else convert.posting_answer(result)
            for result in response.results
        ]


_Asker = Callable[[Sequence[E]], Awaitable[Sequence[fx.Answer | Exception]]]


async def _ask(
    ask: _Asker[E], effects: Sequence[E], failed: list[None] | None = None
) -> list[fx.Answer | Exception]:
    """A failed call fails its own effects only, and of those the ones that make it fail.

    What fits into no message, or is refused, is asked in halves down to the effects that it is refused for. Where more
    than FAILED_CALLS_MAX calls fail (`failed`: those of this batch), the service is at fault, and nobody's effect.
    """
    failed = [] if failed is None else failed
    try:
        answers = await ask(effects)
    except grpc.aio.AioRpcError as error:
        failed.append(None)
        if _is_outage(error) or len(failed) > FAILED_CALLS_MAX:
            return [ServiceUnavailable(_text(error))] * len(effects)
        if len(effects) == 1:
            return [RuntimeError(_text(error))]
        half = len(effects) // 2
        first = await _ask(ask, effects[:half], failed)
        return first + await _ask(ask, effects[half:], failed)
    if len(answers) != len(effects):
        return [RuntimeError(f"{len(answers)} answers to {len(effects)} effects")] * len(effects)
    return list(answers)


def _is_outage(error: grpc.aio.AioRpcError) -> bool:
    return error.code() in _PASSING and not is_too_large(error)


def _text(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name} {remote_error(error).reason}: {error.details()}"
