"""Who follows, leaves and writes is judged by when they did it, in whatever order and how often it is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.segment.domain.events import record
from services.segment.domain.model import (
    ContactAdded,
    ContactBlocked,
    Event,
    EventBody,
    IdentityKey,
    MessageReceived,
    Selector,
)
from tests.property.segment.test_events import TEAM, known_at_first, remember, some_ids

_START: Final = datetime(2026, 3, 1, tzinfo=UTC)
_KEYS: Final = [IdentityKey(1, UUID(int=7), "U1"), IdentityKey(1, UUID(int=8), "U1")]
_KINDS: Final[list[Callable[[IdentityKey], EventBody]]] = [ContactAdded, ContactBlocked, MessageReceived]
_State = dict[IdentityKey, tuple[bool, datetime | None]]


@st.composite
def _histories(draw: st.DrawFn) -> list[Event]:
    """Of one person on two accounts, no two at one time, in order."""
    minutes = sorted(draw(st.sets(st.integers(0, 1_000), min_size=1, max_size=8)))
    return [
        Event(
            TEAM,
            f"e{number}",
            Selector(),
            _START + timedelta(minutes=minute),
            draw(st.sampled_from(_KINDS))(draw(st.sampled_from(_KEYS))),
        )
        for number, minute in enumerate(minutes)
    ]


def _told(batches: list[list[Event]]) -> _State:
    """Which identities are bound, whether they are blocked, and when their customers last did something."""
    known = known_at_first(unsigned_counts=False)
    ids = some_ids()
    for batch in batches:
        remember(known, record(known, batch, _START + timedelta(days=2), ids))
    return {
        key: (binding.blocked, known.customers[TEAM, binding.customer_id].customer_interact_time)
        for (_, key), binding in known.identities.items()
    }


@pytest.mark.rule("S-05d")
@given(_histories(), st.data())
def test_late_doubled_and_reordered_reports_end_as_those_in_order(
    history: list[Event], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(history), max_size=4))
    told = data.draw(st.permutations([*history, *again]))
    cut = data.draw(st.integers(0, len(told)))
    in_order = _told([[event] for event in history])
    assert _told([told[:cut], told[cut:]]) == in_order
    for key, (blocked, _) in in_order.items():
        assert blocked == isinstance(_last(history, key).body, ContactBlocked)


def _last(history: list[Event], key: IdentityKey) -> Event:
    return next(event for event in reversed(history) if getattr(event.body, "identity", None) == key)
