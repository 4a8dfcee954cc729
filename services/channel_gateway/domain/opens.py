"""How many people opened the messages of a node, as a channel tells sums. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID


class OpensState(IntEnum):
    """What came of asking a channel; the numbers are those of the contract."""

    KNOWN = 1
    TOO_FEW_PEOPLE = 2
    REFUSED = 3
    AWAY = 4


class Opens(NamedTuple):
    """What a channel tells."""

    state: OpensState
    people: int = 0


class OpensQuestion(NamedTuple):
    """A node, and the days of its messages, both included."""

    journey_id: UUID
    node_id: str
    first: date
    last: date


def together(found: Iterable[Opens]) -> Opens:
    """What several accounts tell of one node: their sum. One that does not answer may have what the others lack, so
    that nothing known is not the same as too few."""
    answers = list(found)
    known = [each.people for each in answers if each.state is OpensState.KNOWN]
    if known:
        return Opens(OpensState.KNOWN, sum(known))
    for state in (OpensState.AWAY, OpensState.REFUSED, OpensState.TOO_FEW_PEOPLE):
        if any(each.state is state for each in answers):
            return Opens(state)
    return Opens(OpensState.REFUSED)
