"""From the rows of the four histories to facts. What is not counted is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Final
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.feeds import gateway_records as sends
from libs.common.feeds import journey_records as records
from libs.common.feeds.follower import POISON
from libs.common.feeds.records import time_of
from libs.common.feeds.rows import EntryRow, FactRow, GatewayRow, HistoryRow, RecordRow
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.segment.v1 import history_pb2
from services.stats.domain import facts as f
from services.stats.domain.model import NO_JOURNEY, QUARTER_S, Source

_RUN_ENDS: Final[Mapping[int, f.RunEnd]] = {
    enrolment_pb2.ENROLMENT_STATE_COMPLETED: f.RunEnd.COMPLETED,
    enrolment_pb2.ENROLMENT_STATE_CONVERTED: f.RunEnd.CONVERTED,
    enrolment_pb2.ENROLMENT_STATE_HALTED: f.RunEnd.HALTED,
}
_SEND_ENDS: Final[Mapping[int, f.SendEnd]] = {
    delivery_pb2.SEND_STATE_SENT: f.SendEnd.SENT,
    delivery_pb2.SEND_STATE_SKIPPED: f.SendEnd.SKIPPED,
    delivery_pb2.SEND_STATE_FAILED: f.SendEnd.FAILED,
    delivery_pb2.SEND_STATE_UNKNOWN: f.SendEnd.UNKNOWN,
}
_RECEIPTS: Final[Mapping[int, f.ReceiptKind]] = {
    delivery_pb2.RECEIPT_KIND_DELIVERED: f.ReceiptKind.DELIVERED,
    delivery_pb2.RECEIPT_KIND_READ: f.ReceiptKind.READ,
    delivery_pb2.RECEIPT_KIND_REPLIED: f.ReceiptKind.REPLIED,
    delivery_pb2.RECEIPT_KIND_FAILED: f.ReceiptKind.FAILED,
}
_ENTRY_SOURCES: Final[Mapping[int, f.EntrySource]] = {
    entry_pb2.ENTRY_SOURCE_WEB_ORDER: f.EntrySource.ORDER,
    entry_pb2.ENTRY_SOURCE_REFUND: f.EntrySource.REFUND,
    entry_pb2.ENTRY_SOURCE_JOURNEY: f.EntrySource.JOURNEY,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_QUARTER: Final = timedelta(seconds=QUARTER_S)
_QUARTER_US: Final = QUARTER_S * 1_000_000

_OF_WAYS: Final = frozenset({f.StepResult.WAY_TAKEN, f.StepResult.HELD_OUT})
_DETAILED: Final = _OF_WAYS | f.REASONED
"""Results whose detail is counted."""
_WAY: Final = re.compile(r"[1-9][0-9]{0,2}")
_REASON: Final = re.compile(r"[A-Za-z0-9_]{0,64}")
_OTHER: Final = "OTHER"
_REASONED_ENDS: Final = frozenset({delivery_pb2.SEND_STATE_SKIPPED, delivery_pb2.SEND_STATE_FAILED})

_Shape = tuple[Any, ...]
"""A fact as far as it is counted: what makes it, and the plain values to make it of. Facts are many, their shapes few
(the run segments of a journey's customers mostly have the same steps), so they are counted by shape before anything
dearer is done with them.
"""


_Shapes = dict[_Shape, int]
"""How often each shape occurs, in the order in which they occur first."""
Counted = list[tuple[f.Fact, int]]
"""Facts, and how often each occurs."""


def read_facts(source: Source, rows: Iterable[HistoryRow]) -> Counted:
    """Facts of one source's rows, in the order in which they occur first. Raises ValueError for ids that are none, and
    for a row that its service could not read; `msgspec.MsgspecError` for a record that is none.
    """
    tally = _TALLIES[source]
    shapes: _Shapes = {}
    for row in rows:
        if row.team is None:
            raise ValueError("the service whose row it is cannot read it")
        tally(row, row.team, shapes)
    return _made(shapes)


def _made(shapes: _Shapes) -> Counted:
    return [(make(*values), times) for (make, *values), times in shapes.items()]


def read_each(source: Source, row: HistoryRow) -> list[Counted | Exception]:
    """What one row says, fact by fact: no fact for what is not counted, the fault of one that cannot be read. Raises
    as `read_facts` where the row as a whole cannot be read."""
    read_loosely = _LOOSE.get(source) if getattr(row, "body", b"") else None
    if read_loosely is None or row.team is None:
        return [read_facts(source, [row])]
    return [_read_one(row.team, tally) for tally in read_loosely(row)]


_Tally = Callable[[bytes, _Shapes], None]
"""Adds what one fact of a team counts. Raises as `read_facts`."""


def _read_one(team: bytes, tally: _Tally) -> Counted | Exception:
    shapes: _Shapes = {}
    try:
        tally(team, shapes)
        return _made(shapes)
    except POISON as error:
        return error


class _LooseRecord(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A `records.Record` of which some facts may be unreadable."""

    at_us: int
    journeys: list[bytes]
    facts: list[msgspec.Raw]


class _LooseSends(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A `sends.Record` of which some facts may be unreadable."""

    at_us: int
    facts: list[msgspec.Raw]


_loose_record: Final = msgspec.msgpack.Decoder(_LooseRecord).decode
_loose_sends: Final = msgspec.msgpack.Decoder(_LooseSends).decode
_journey_fact: Final = msgspec.msgpack.Decoder(records.Fact).decode
_gateway_fact: Final = msgspec.msgpack.Decoder(sends.Fact).decode


def _facts_of_journey(row: RecordRow) -> list[_Tally]:
    record = _loose_record(row.body)

    def tally(raw: msgspec.Raw, team: bytes, shapes: _Shapes) -> None:
        _tally_record(team, record.at_us, record.journeys, [_journey_fact(raw)], shapes)

    return [partial(tally, raw) for raw in record.facts]


def _facts_of_gateway(row: GatewayRow) -> list[_Tally]:
    record = _loose_sends(row.body)

    def tally(raw: msgspec.Raw, team: bytes, shapes: _Shapes) -> None:
        _tally_sends(team, record.at_us, [_gateway_fact(raw)], shapes)

    return [partial(tally, raw) for raw in record.facts]


_LOOSE: Final[Mapping[Source, Callable[[Any], list[_Tally]]]] = {
    Source.JOURNEY: _facts_of_journey,
    Source.RECORDS: _facts_of_journey,
    Source.GATEWAY: _facts_of_gateway,
}


@lru_cache(maxsize=65_536)
def _id(raw: bytes) -> UUID:
    # Teams and journeys are few, their rows are many; making an id takes longer than looking it up.
    return DriverUUID(raw)


@lru_cache(maxsize=4_096)
def _quarter_at(number: int) -> datetime:
    return datetime.fromtimestamp(number * QUARTER_S, UTC)


def _add(shapes: _Shapes, shape: _Shape, times: int = 1) -> None:
    shapes[shape] = shapes.get(shape, 0) + times


def _tally_journey(row: RecordRow, team: bytes, shapes: _Shapes) -> None:
    record = records.read_record(row.body)
    _tally_record(team, record.at_us, record.journeys, record.facts, shapes)


def _tally_record(
    team: bytes, at_us: int, journeys: Sequence[bytes], facts: Iterable[records.Fact], shapes: _Shapes
) -> None:
    """Times of a record count from its own, which most of them are."""
    quarter = at_us // _QUARTER_US
    of_ways: list[records.StepRecord] = []
    for fact in facts:
        after = fact.after_us
        at = (at_us + after) // _QUARTER_US if after else quarter
        if type(fact) is records.RunSegmentFact:
            steps = tuple(
                [
                    (
                        step.node_id,
                        step.result if step.result not in _DETAILED else _detailed(step, of_ways),
                        step.entered,
                        (at_us + step.after_us) // _QUARTER_US if step.after_us else quarter,
                    )
                    for step in fact.steps
                ]
            )
            run = (fact.enrolled, fact.state)
            shape: _Shape = (_run_segment, team, journeys[fact.journey], at, run, steps)
            shapes[shape] = shapes.get(shape, 0) + 1
            if of_ways:
                for step in of_ways:
                    place = (team, journeys[fact.journey], step.node_id, fact.customer_id)
                    _add(shapes, (_split, place, step.result == f.StepResult.HELD_OUT, at_us + step.after_us))
                of_ways.clear()
        elif type(fact) is records.RefusalFact:
            _add(shapes, (_refused, team, journeys[fact.journey], at))


def _run_segment(
    team: bytes,
    journey: bytes,
    quarter: int,
    run: tuple[bool, int],
    steps: tuple[tuple[str, _Outcome, bool, int], ...],
) -> f.Fact:
    enrolled, state = run
    return f.RunSegment(
        team_id=_id(team),
        journey_id=_id(journey),
        quarter=_quarter_at(quarter),
        enrolled=enrolled,
        end=_RUN_ENDS.get(state, f.RunEnd.NOT_YET),
        steps=tuple([_step(*each) for each in steps]),
    )


_Outcome = int | tuple[int, int, str]
"""The result of a step, or with its way and its reason."""


def _step(node_id: str, outcome: _Outcome, entered: bool, at: int) -> f.Step:
    result, way, reason = outcome if isinstance(outcome, tuple) else (outcome, 0, "")
    return f.Step(node_id, result, entered, _quarter_at(at), way, reason)


def _split(place: tuple[bytes, bytes, str, bytes], held_out: bool, at_us: int) -> f.Fact:
    team, journey, node_id, customer = place
    return f.SplitTaken(_id(team), _id(journey), node_id, DriverUUID(customer), held_out, time_of(at_us))


def _detailed(step: records.StepRecord, of_ways: list[records.StepRecord]) -> _Outcome:
    """The result with what its detail says. A detail that is no way leaves it out. A step of a way is noted in
    `of_ways`."""
    if step.result not in _OF_WAYS:
        return step.result, 0, _reason(step.detail)
    of_ways.append(step)
    return step.result, int(step.detail) if _WAY.fullmatch(step.detail) else 0, ""


def _reason(text: str) -> str:
    """A reason as it is counted: there must be few of them, and no text of anybody's."""
    return text if _REASON.fullmatch(text) else _OTHER


def _refused(team: bytes, journey: bytes, quarter: int) -> f.Fact:
    return f.TriggerRefused(_id(team), _id(journey), _quarter_at(quarter))


def _tally_gateway(row: GatewayRow, team: bytes, shapes: _Shapes) -> None:
    if row.body:
        record = sends.read_record(row.body)
        return _tally_sends(team, record.at_us, record.facts, shapes)
    make = _MESSAGES.get(row.kind)
    if make is None or (make is _receipt and row.outcome not in _RECEIPTS):
        return None
    message = (team, row.journey, row.node, row.channel, (row.at - _EPOCH) // _QUARTER)
    if make is _click:
        return _add(shapes, (make, message, row.key, b"", 0))
    reason = _reason(row.reason) if row.outcome in _REASONED_ENDS and make is _send else ""
    return _add(shapes, (make, message, row.outcome, row.messages, row.micros, row.currency, reason))


def _tally_sends(team: bytes, at_us: int, facts: Iterable[sends.Fact], shapes: _Shapes) -> None:
    quarter = at_us // _QUARTER_US
    for fact in facts:
        if type(fact) is sends.SettledFact:
            message = (team, fact.journey_id, fact.node_id, fact.channel, quarter)
            reason = _reason(fact.reason) if fact.outcome in _REASONED_ENDS else ""
            shape = (_send, message, fact.outcome, fact.messages, fact.micros, fact.currency, reason)
            _add(shapes, shape, fact.count)
        elif type(fact) is sends.ResolvedFact:
            ended = fact.settled_us // _QUARTER_US
            message = (team, fact.journey_id, fact.node_id, fact.channel, ended)
            _add(shapes, (_resolved, message, fact.before, fact.outcome, fact.messages), fact.count)
        elif type(fact) is sends.ReceiptFact and fact.kind in _RECEIPTS:
            message = (team, fact.journey_id, fact.node_id, fact.channel, quarter)
            _add(shapes, (_receipt, message, fact.kind, 0, 0, "", _reason(fact.reason)), fact.count)
        elif type(fact) is sends.ClickFact:
            message = (team, fact.journey_id, fact.node_id, fact.channel, quarter)
            for n in range(fact.count):
                key = fact.sends[n * sends.SEND_BYTES : n * sends.SEND_BYTES + 16]
                _add(shapes, (_click, message, key, fact.customers[n * 16 : n * 16 + 16], at_us))


_Message = tuple[bytes, bytes | None, str, int, int]  # team, journey, node, channel, quarter


def _place(message: _Message) -> tuple[UUID, UUID, str, int, datetime]:
    """Team, journey, node, channel and quarter: what the facts of messages begin with."""
    team, journey, node_id, channel, quarter = message
    return _id(team), _id(journey) if journey else NO_JOURNEY, node_id, channel, _quarter_at(quarter)


_Worth = tuple[int, int, str, str]  # messages, millionths, currency, reason


def _send(message: _Message, state: int, *worth: *_Worth) -> f.Fact:
    end = _SEND_ENDS.get(state, f.SendEnd.OTHER)
    return f.SendSettled(*_place(message), end, *worth)


def _resolved(message: _Message, before: int, state: int, messages: int) -> f.Fact:
    before_end, end = _SEND_ENDS.get(before, f.SendEnd.OTHER), _SEND_ENDS.get(state, f.SendEnd.OTHER)
    return f.SendResolved(*_place(message), before_end, end, messages)


def _receipt(message: _Message, kind: int, *worth: *_Worth) -> f.Fact:
    return f.ReceiptArrived(*_place(message), _RECEIPTS[kind], *worth[1:])


def _click(message: _Message, key: bytes, customer: bytes, at_us: int) -> f.Fact:
    who = (DriverUUID(customer), time_of(at_us)) if customer else (None, None)
    return f.LinkClicked(*_place(message), DriverUUID(key), *who)


_MESSAGES: Final[Mapping[int, Callable[..., f.Fact]]] = {1: _send, 2: _receipt, 3: _click}
"""By the kind of a `GatewayRow`."""


def _tally_entry(row: EntryRow, team: bytes, shapes: _Shapes) -> None:
    changes = (row.delta_balance, row.delta_cumulative, row.requested_balance)
    _add(shapes, (_entry, team, (row.at - _EPOCH) // _QUARTER, row.source, changes))


def _entry(team: bytes, quarter: int, source: int, changes: tuple[int, int, int]) -> f.Fact:
    origin = _ENTRY_SOURCES.get(source, f.EntrySource.OTHER)
    return f.PointsChanged(_id(team), _quarter_at(quarter), origin, *changes)


def _tally_fact(row: FactRow, team: bytes, shapes: _Shapes) -> None:
    kind = row.kind
    if kind in _SALES:
        sale = (row.order, row.at, row.micros, row.currency)
        _add(shapes, (_SALES[kind], team, row.customer, (row.at - _EPOCH) // _QUARTER, sale))
    elif kind in _STORED:
        if row.uncounted == history_pb2.UNCOUNTED_REASON_ANONYMOUS:
            _add(shapes, (_stored, team, (row.at - _EPOCH) // _QUARTER))
        if kind == history_pb2.FACT_KIND_ORDER_STORED and row.order is not None:
            _add(shapes, (_uncounted, team, (row.order, row.at, row.micros, row.currency), row.uncounted))


_Sale = tuple[bytes | None, datetime, int, str]  # order, time, millionths, currency


def _sale(values: _Sale) -> f.Sale:
    order, at, micros, currency = values
    return f.Sale(DriverUUID(order) if order else None, at, micros, currency)


def _order(team: bytes, customer: bytes, quarter: int, sale: _Sale) -> f.Fact:
    return f.OrderCounted(_id(team), DriverUUID(customer), _quarter_at(quarter), _sale(sale))


def _refund(team: bytes, customer: bytes, quarter: int, sale: _Sale) -> f.Fact:
    return f.RefundCounted(_id(team), DriverUUID(customer), _quarter_at(quarter), _sale(sale))


def _uncounted(team: bytes, sale: _Sale, reason: int) -> f.Fact:
    return f.OrderUncounted(_id(team), _sale(sale), reason)


def _stored(team: bytes, quarter: int) -> f.Fact:
    return f.AnonymousStored(_id(team), _quarter_at(quarter))


_SALES: Final[Mapping[int, Callable[..., f.Fact]]] = {
    history_pb2.FACT_KIND_CHECKOUT_COMPLETED: _order,
    history_pb2.FACT_KIND_ORDER_REFUNDED: _refund,
}
_STORED: Final = frozenset({history_pb2.FACT_KIND_ORDER_STORED, history_pb2.FACT_KIND_REFUND_STORED})
_TALLIES: Final[Mapping[Source, Callable[[Any, bytes, _Shapes], None]]] = {
    Source.JOURNEY: _tally_journey,
    Source.RECORDS: _tally_journey,
    Source.GATEWAY: _tally_gateway,
    Source.POINTS: _tally_entry,
    Source.SEGMENT: _tally_fact,
}
