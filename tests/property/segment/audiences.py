"""Audiences and customers at random: few values each, so that they often meet."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from hypothesis import strategies as st

from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    AttributeType,
    Balance,
    BasicField,
    Before,
    Between,
    BooleanTest,
    CompareOperator,
    DateTest,
    Expression,
    Figure,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    HasTime,
    InAudience,
    IsBound,
    IsSet,
    Negation,
    Never,
    NumberTest,
    Subject,
    TagOperator,
    TextOperator,
    TextTest,
    TimeField,
    WithinLast,
)
from libs.common.audience.memberships import expanded
from libs.common.audience.reading import read_audience
from libs.common.text import fold
from omnijourney.segment.v1 import audience_pb2
from services.segment.domain.model import CustomerView

NOW: Final = datetime(2026, 3, 29, 12, tzinfo=UTC)
"""A day on which clocks change in much of Europe."""
ZONES: Final = ("UTC", "Asia/Taipei", "Europe/London", "America/New_York", "Pacific/Kiritimati")
TEXTS: Final = (
    *(
        "a",
        "ab",
        "b%",
        "_b",
        "Ａb",
        "ß",
        "ss",
        "\\",
        "É",
        "e\u0301",
        "中文",
        "İ",
        "i\u0307",
        "ı",
        "ﬁ",
        "Σς",
        "\u03d3",
    ),
    *("👩\u200d👧", "👩", "ｶﾞ", "ガ", "e", " a", "'", '"', "1", "１"),
)
NUMBERS: Final = (
    "-1",
    "0",
    "0.1",
    "1",
    "10",
    "9",
    "9" * 30,
    "-" + "9" * 30,
    "0." + "0" * 28 + "1",
    "1" + "0" * 29,
)
"""Of as many digits as a number may have, too."""
DAYS: Final = ("0001-01-02", "9999-12-30")
"""The first and the last that are believed."""
ACCOUNTS: Final = ("018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002")
TYPES: Final = {"t": 1, "n": 2, "d": 3, "b": 4}
"""Attributes by the numbers of their types."""

_A1, _A2, _A3 = (f"018f0000-0000-7000-8000-0000000000a{number}" for number in (1, 2, 3))
SAVED_FORMS: Final[dict[str, dict[str, Any]]] = {
    _A1: {"tags": {"operator": 1, "tags": ["a", "ß"]}},
    _A2: {
        "any_of": {
            "items": [
                {"points": {"figure": 1, "operator": 6, "value": 2}},
                {"negation": {"attribute": {"key": "t", "is_set": {}}}},
            ]
        }
    },
    _A3: {
        "all_of": {
            "items": [
                {"saved_audience": {"operator": 2, "saved_audience_id": _A1}},
                {"saved_audience": {"operator": 1, "saved_audience_id": _A2}},
            ]
        }
    },
}
"""Saved audiences by their ids, as the contract has them; the last one names the others."""
SAVED: Final = {
    audience_id: read_audience(ParseDict(form, audience_pb2.Audience())).expression
    for audience_id, form in SAVED_FORMS.items()
}

texts: Final = st.sampled_from(TEXTS)
folded: Final = texts.map(fold)
numbers: Final = st.sampled_from([Decimal(each) for each in NUMBERS])
days: Final = st.integers(-3, 3).map(lambda days: date(2026, 3, 29) + timedelta(days=days)) | st.sampled_from(
    [date.fromisoformat(day) for day in DAYS]
)
EDGES: Final = [
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC),
    NOW - timedelta(days=1),
    NOW - timedelta(days=1, microseconds=1),
    NOW + timedelta(microseconds=1),
]
"""The first and the last instant that is believed, and what just is or just is not within a day."""
instants: Final = st.integers(-100, 100).map(lambda hours: NOW + timedelta(hours=hours)) | st.sampled_from(
    EDGES
)
_compares: Final = st.sampled_from([each for each in CompareOperator if each != CompareOperator.BETWEEN])
_text_tests: Final = st.builds(
    TextTest, st.sampled_from(TextOperator), st.lists(folded, min_size=1, max_size=3).map(tuple)
)


def _ranges(test: type, values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    pairs = st.tuples(values, values).map(sorted)  # type: ignore[arg-type]
    return pairs.map(lambda pair: test(CompareOperator.BETWEEN, *pair))


_number_tests: Final = st.builds(NumberTest, _compares, numbers) | _ranges(NumberTest, numbers)
_date_tests: Final = st.builds(DateTest, _compares, days) | _ranges(DateTest, days)
_attributes: Final = st.one_of(
    st.builds(HasAttribute, st.sampled_from(sorted(TYPES)), st.just(IsSet())),
    st.builds(HasAttribute, st.just("t"), _text_tests),
    st.builds(HasAttribute, st.just("n"), _number_tests),
    st.builds(HasAttribute, st.just("d"), _date_tests),
    st.builds(HasAttribute, st.just("b"), st.builds(BooleanTest, st.booleans())),
)
_bounds: Final = instants | days
_time_tests: Final = st.one_of(
    st.builds(WithinLast, st.integers(1, 4) | st.just(3_650)),
    st.builds(Before, _bounds),
    st.builds(Between, _bounds, _bounds),
    st.just(Never()),
)
_points: Final = st.builds(HasPoints, st.sampled_from(Figure), _compares, st.integers(0, 3)) | st.tuples(
    st.sampled_from(Figure), st.integers(0, 3), st.integers(0, 3)
).map(lambda drawn: HasPoints(drawn[0], CompareOperator.BETWEEN, min(drawn[1:]), max(drawn[1:])))
_without_points: Final = st.one_of(
    st.builds(HasTags, st.sampled_from(TagOperator), st.frozensets(folded, min_size=1, max_size=3)),
    _attributes,
    st.builds(HasBasic, st.sampled_from(BasicField), st.just(IsSet()) | _text_tests),
    st.builds(HasTime, st.sampled_from(TimeField), _time_tests),
    st.builds(IsBound, st.booleans(), st.integers(1, 2), st.sampled_from(["", *ACCOUNTS])),
)
_memberships: Final = st.builds(InAudience, st.booleans(), st.sampled_from(sorted(SAVED)))


def _trees(leaves: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def grow(smaller: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        several = st.lists(smaller, min_size=1, max_size=4).map(tuple)
        return st.builds(AllOf, several) | st.builds(AnyOf, several) | st.builds(Negation, smaller)

    return st.recursive(leaves, grow, max_leaves=12)


unexpanded: Final = _trees(_without_points | _points | _memberships)
"""With saved audiences as they are named."""
expressions: Final = unexpanded.map(lambda each: expanded(each, SAVED))
predicates: Final = _without_points | _points
subjects: Final = st.builds(
    Subject,
    basics=st.dictionaries(st.sampled_from(BasicField), folded),
    times=st.dictionaries(st.sampled_from(TimeField), instants),
    tags=st.frozensets(folded, max_size=4),
    values=st.fixed_dictionaries(
        {},
        optional={
            "t": folded,
            "n": numbers.map(str),
            "d": days.map(date.isoformat),
            "b": st.sampled_from(["true", "false"]),
        },
    ),
    bound=st.frozensets(st.tuples(st.integers(1, 2), st.sampled_from(["", *ACCOUNTS]))),
    points=st.builds(Balance, st.integers(0, 3), st.integers(0, 3)),
)


def every_predicate() -> list[Expression]:
    """Each predicate with each operator at least once, so that none is left to chance."""
    some = ("a", fold("Ａb"), "%")
    found: list[Expression] = [HasTags(operator, frozenset(some)) for operator in TagOperator]
    found += [HasTags(operator, frozenset(some[:1])) for operator in TagOperator]
    found += [HasTags(operator, frozenset(map(fold, TEXTS[:6]))) for operator in TagOperator]
    tests: list[IsSet | TextTest] = [IsSet(), *(TextTest(operator, some) for operator in TextOperator)]
    found += [HasBasic(field, test) for field in BasicField for test in tests]
    found += [HasAttribute("t", test) for test in tests]
    day = NOW.date()
    for operator in CompareOperator:
        between = operator == CompareOperator.BETWEEN
        number = NumberTest(operator, Decimal("0.1"), Decimal(9) if between else None)
        found.append(HasAttribute("n", number))
        found.append(HasAttribute("d", DateTest(operator, day, day + timedelta(days=1) if between else None)))
    found += [HasAttribute("b", BooleanTest(value)) for value in (True, False)]
    times: list[WithinLast | Before | Between | Never] = [WithinLast(2), Before(NOW), Before(day)]
    times += [Between(day, day), Never()]
    found += [HasTime(field, test) for field in TimeField for test in times]
    found += [IsBound(bound, 1, account) for bound in (True, False) for account in ("", *ACCOUNTS)]
    found += [InAudience(belongs, audience_id) for belongs in (True, False) for audience_id in SAVED]
    for operator in CompareOperator:
        upper = 2 if operator == CompareOperator.BETWEEN else None
        found += [HasPoints(figure, operator, 1, upper) for figure in Figure]
    return found


def subject_of(view: CustomerView, types: dict[str, AttributeType], points: Balance) -> Subject:
    """A customer, read whole, as audiences see it: folded texts, active attributes only."""
    customer = view.customer
    basics = {
        BasicField.MEMBER_ID: customer.member_id,
        BasicField.PHONE: customer.phone,
        BasicField.EMAIL: customer.email,
    }
    times = {
        TimeField.CUSTOMER_INTERACTED: customer.customer_interact_time,
        TimeField.TEAM_INTERACTED: customer.team_interact_time,
        TimeField.MARKETED: customer.marketed_time,
        TimeField.CHECKOUT: customer.checkout_time,
    }
    bound = {(identity.key.channel, str(identity.key.account_id)) for identity in view.identities}
    return Subject(
        basics={field: fold(text) for field, text in basics.items() if text is not None},
        times={field: at for field, at in times.items() if at is not None},
        tags=frozenset(fold(tag) for tag in view.tags),
        values={
            key: fold(text) if types[key] == AttributeType.TEXT else text
            for key, text in view.attributes.items()
            if key in types
        },
        bound=frozenset(bound | {(channel, "") for channel, _ in bound}),
        points=points,
    )
