"""Ids of facts that follow from the report that they are told by.

A report that is made again is a duplicate, and leaves no facts. After the database was restored to a moment before the
report nobody knows it any more: then it leaves the same facts under the same ids, so that the enrolments which they
begin have the ids, and their messages the keys, that channels know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from libs.common.ids import derived_from
from services.segment.domain.facts import (
    TAGS,
    AttributeChanged,
    ContactJoined,
    ContactLeft,
    ContactRemoved,
    ContactReturned,
    CustomerChanged,
    FactBody,
    OrderReported,
    RefundReported,
    TagApplied,
    TagRemoved,
)


class FactIds:
    """The ids of the facts of one report."""

    def __init__(self, team_id: UUID, report: str) -> None:
        """`report` is what identifies it in the team, for ever and among reports of every kind."""
        self._team_id = team_id
        self._report = report.encode()
        self._given: set[UUID] = set()

    def of(self, body: FactBody) -> UUID:
        """The id of the next fact. It follows from what the fact is about, not from its place among the others, of
        which there may be more or fewer when the report is made again; facts about the same thing are told apart by
        their order."""
        kind = type(body)
        about = _ABOUT[kind](body) if kind in _ABOUT else b""
        fact_id = derived_from(
            self._team_id, b"fact %d %d %b%b" % (TAGS[kind], len(about), about, self._report)
        )
        while fact_id in self._given:
            fact_id = derived_from(fact_id, b"")
        self._given.add(fact_id)
        return fact_id


def _of_order(body: OrderReported) -> bytes:
    return b"%d %b" % (body.stage, body.order_key.bytes)


def _of_refund(body: RefundReported) -> bytes:
    return body.refund_key.bytes


def _of_tag(body: TagApplied | TagRemoved) -> bytes:
    return body.tag.encode()


def _of_attribute(body: AttributeChanged) -> bytes:
    return body.key.encode()


def _of_identity(body: ContactJoined | ContactRemoved | ContactLeft | ContactReturned) -> bytes:
    channel, account_id, external_id = body.identity
    return b"%d %b%b" % (channel, account_id.bytes, external_id.encode())


def _of_basics(body: CustomerChanged) -> bytes:
    return " ".join(body.fields).encode()


_ABOUT: Final[dict[type, Callable[[Any], bytes]]] = {
    OrderReported: _of_order,
    RefundReported: _of_refund,
    TagApplied: _of_tag,
    TagRemoved: _of_tag,
    AttributeChanged: _of_attribute,
    ContactJoined: _of_identity,
    ContactRemoved: _of_identity,
    ContactLeft: _of_identity,
    ContactReturned: _of_identity,
    CustomerChanged: _of_basics,
}
"""What facts are about, by their type. Of others a report tells one."""
