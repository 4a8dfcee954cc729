"""Conditions that are judged by what came with the mail: the answer is the one that asking gives."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import (
    BasicField,
    Expression,
    HasBasic,
    HasTags,
    IsBound,
    Subject,
    TextOperator,
    TextTest,
)
from libs.common.mailbox.mail import CustomerView, KnownIdentity
from libs.common.text import fold
from services.journey.convert.judging import decision_from
from services.segment.domain.model import Customer, Identity, IdentityKey
from services.segment.domain.model import CustomerView as Stored
from tests.property.segment.audiences import (
    ACCOUNTS,
    NOW,
    ZONES,
    expressions,
    predicates,
    subject_of,
    subjects,
    texts,
)

TEAM: Final = UUID(int=1)
_maybe: Final = st.none() | texts
_identities: Final = st.builds(
    KnownIdentity, st.integers(1, 2), st.sampled_from(ACCOUNTS).map(UUID), st.just("U1"), st.booleans()
)
_views: Final = st.builds(
    CustomerView,
    number=st.just(1),
    as_of=st.just(NOW),
    name=texts,
    member_id=_maybe,
    phone=_maybe,
    email=_maybe,
    identities=st.lists(_identities, max_size=2),
    whole=st.booleans(),
)


def _stored(view: CustomerView, more: list[KnownIdentity]) -> Stored:
    """The customer in segment's tables."""
    customer = Customer(TEAM, TEAM, view.member_id, view.name, view.phone, view.email)
    identities = [*view.identities, *([] if view.whole else more)]
    return Stored(
        customer,
        identities=tuple(
            Identity(IdentityKey(each.channel, each.account_id, each.external_id), each.blocked, NOW)
            for each in identities
        ),
    )


@pytest.mark.rule("J-32", "S-03b")
@given(expressions | predicates, _views, st.lists(_identities, max_size=2), subjects, st.sampled_from(ZONES))
def test_what_a_view_answers_segment_answers_whatever_else_it_knows(
    expression: Expression, view: CustomerView, more: list[KnownIdentity], rest: Subject, zone: str
) -> None:
    """`rest` is everything that no view says: times, values and points of anybody, tags of those that are not whole."""
    found = decision_from(view, expression)
    event(f"answered: {found is not None}, whole: {view.whole}")
    if found is None:  # as for most: to assume otherwise is too rare for the generator
        return
    known = subject_of(_stored(view, more), {}, rest.points)
    tags = known.tags if view.whole else rest.tags
    asked = replace(known, times=rest.times, values=rest.values, tags=tags)
    assert evaluate(expression, asked, NOW + timedelta(seconds=10), zone) == found.belongs


@given(predicates, _views)
def test_only_what_a_view_says_is_answered(predicate: Expression, view: CustomerView) -> None:
    says = {HasBasic, HasTags, IsBound} if view.whole else {HasBasic}
    assert (decision_from(view, predicate) is not None) == (type(predicate) in says)


def test_texts_are_folded_as_segment_folds_them() -> None:
    view = CustomerView(1, NOW, "", "Ａb", None, None, [])
    expression = HasBasic(BasicField.MEMBER_ID, TextTest(TextOperator.EQUALS, (fold("ab"),)))
    found = decision_from(view, expression)
    assert found is not None
    assert found.belongs
