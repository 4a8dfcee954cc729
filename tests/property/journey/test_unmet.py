"""What is told of a trigger's conditions agrees with what turns go by."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from libs.common.audience.expressions import AttributeType
from libs.common.mailbox import mail as m
from services.journey.domain import model as d
from services.journey.domain.matching import matches
from services.journey.domain.unmet import VALUE_MAX, unmet
from tests.unit.journey.builders import ACCOUNT, journey

OTHER = UUID(int=77)
_amounts = st.none() | st.integers(1, 4).map(lambda units: units * 1_000_000)
_names = st.lists(st.sampled_from(["tea", "Green Tea", "ＴＥＡ", "cup"]), max_size=2)
orders = (
    st.builds(
        d.CheckoutTrigger,
        st.sampled_from(["is", "contains"]),
        _names.map(tuple),
        _amounts,
        _amounts,
        st.sampled_from(["", "TWD"]),
    ),
    st.builds(
        m.Checkout,
        st.just(OTHER),
        st.just("shop"),
        st.just("1"),
        st.integers(0, 5).map(lambda units: units * 1_000_000),
        st.sampled_from(["TWD", "USD"]),
        _names,
        earns=st.booleans(),
        has_phone=st.just(True),
        test=st.booleans(),
    ),
)
contacts = (
    st.just(d.ContactTrigger()),
    st.builds(m.ContactAdded, st.sampled_from([1, 2, 99]), st.sampled_from([ACCOUNT, OTHER])),
)
tags = (
    st.just(d.TagTrigger(("VIP", "new"))),
    st.builds(m.TagApplied, st.sampled_from(["vip", "old", "x" * 500])),
)
attributes = (
    st.builds(d.AttributeTrigger, st.just(("tier",)), st.sampled_from([(), ("gold",)])),
    st.builds(
        m.AttributeChanged,
        st.sampled_from(["tier", "size"]),
        st.just(AttributeType.TEXT),
        st.none(),
        st.sampled_from([None, "Gold", "silver"]),
    ),
)
calls = (
    st.just(d.SystemTriggerKind()),
    st.builds(m.SystemTrigger, st.sampled_from([UUID(int=100), OTHER]), st.just(OTHER)),
)
kinds = (orders, contacts, tags, attributes, calls)
others: st.SearchStrategy[m.Body] = st.sampled_from([m.TagRemoved("vip"), m.Unreadable("spoiled")])
anything = st.tuples(
    st.one_of(*(trigger for trigger, _ in kinds)), st.one_of(others, *(body for _, body in kinds))
)


@pytest.mark.rule("J-41b")
@given(st.one_of(anything, st.tuples(*orders), *(st.tuples(*kind) for kind in kinds)))
def test_a_condition_is_told_exactly_where_an_event_does_not_meet_the_trigger(
    both: tuple[d.Trigger, m.Body],
) -> None:
    trigger, body = both
    given_journey = journey(trigger=trigger)
    found = unmet(given_journey, body)
    event(f"{type(trigger).__name__}, {type(body).__name__}, met: {found is None}")
    assert (found is None) == matches(given_journey, body)
    if found is not None:
        assert found.field.partition(".")[0] in ("trigger", "targets")
        assert found.message
        assert len(found.value) <= VALUE_MAX
