"""Conditions that are judged by what came with the mail: the answer is the one that asking gives."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.audience.evaluation import evaluate
from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    BasicField,
    Expression,
    HasBasic,
    HasTags,
    IsBound,
    IsSet,
    Negation,
    Subject,
    TagOperator,
    TextOperator,
    TextTest,
)
from libs.common.audience.spellings import is_local
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
    folded,
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


_text_tests: Final = st.builds(
    TextTest, st.sampled_from(TextOperator), st.lists(folded, min_size=1, max_size=2).map(tuple)
)
_answered: Final = st.one_of(
    st.builds(HasBasic, st.sampled_from(BasicField), st.just(IsSet()) | _text_tests),
    st.builds(HasTags, st.sampled_from(TagOperator), st.frozensets(folded, min_size=1, max_size=2)),
    st.builds(IsBound, st.booleans(), st.integers(1, 2), st.sampled_from(["", *ACCOUNTS])),
)
_answered_trees: Final = st.recursive(
    _answered,
    lambda inner: (
        st.builds(Negation, inner)
        | st.sampled_from([AllOf, AnyOf]).flatmap(
            lambda kind: st.builds(kind, st.lists(inner, min_size=1, max_size=2).map(tuple))
        )
    ),
    max_leaves=3,
)
_asked: Final = st.booleans().flatmap(lambda known: _answered_trees if known else expressions | predicates)
"""Half of them of what views may answer."""


@pytest.mark.rule("J-32", "S-03b")
@settings(max_examples=300)
@given(_asked, _views, st.lists(_identities, max_size=2), subjects, st.sampled_from(ZONES))
def test_what_a_view_answers_segment_answers_whatever_else_it_knows(
    expression: Expression, view: CustomerView, more: list[KnownIdentity], rest: Subject, zone: str
) -> None:
    """`rest` is everything that no view says: times, values and points of anybody, tags of those that are not whole."""
    found = decision_from(view, expression)
    event(f"answered: {found is not None}, whole: {view.whole}")
    if found is None:
        return
    known = subject_of(_stored(view, more), {}, rest.points)
    tags = known.tags if view.whole else rest.tags
    asked = replace(known, times=rest.times, values=rest.values, tags=tags)
    assert evaluate(expression, asked, NOW + timedelta(seconds=10), zone) == found.belongs


@given(predicates, _views)
def test_only_what_a_view_says_is_answered(predicate: Expression, view: CustomerView) -> None:
    says = {HasBasic, HasTags, IsBound} if view.whole else {HasBasic}
    answered = type(predicate) in says and not is_local(predicate)
    assert (decision_from(view, predicate) is not None) == answered


def test_texts_are_folded_as_segment_folds_them() -> None:
    view = CustomerView(1, NOW, "", "Ａb", None, None, [])
    expression = HasBasic(BasicField.MEMBER_ID, TextTest(TextOperator.EQUALS, (fold("ab"),)))
    found = decision_from(view, expression)
    assert found is not None
    assert found.belongs
