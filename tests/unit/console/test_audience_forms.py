"""The form of an audience: what it shows, sent back as a browser sends it, says the same."""

from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.console.audiences.builder import Builder
from libs.console.audiences.conditions import SUBJECTS
from libs.console.audiences.tree import ITEMS_MAX, Item, is_changed_by, read_tree, tree_of, written
from libs.console.faults import Faults
from libs.console.journeys.choices import Choices
from libs.console.languages import read_words
from libs.console.rendering import Pages
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount
from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import attribute_pb2, audience_pb2
from omnijourney.segment.v1.audience_pb2 import SavedAudience

pytestmark = pytest.mark.rule("X-07")
PAGES = Pages(read_words())
ATTRIBUTES = [
    attribute_pb2.Attribute(key=key, display_name=key, type=attribute_pb2.AttributeType.ValueType(kind))
    for key, kind in (("tier", 1), ("size", 2), ("birthday", 3), ("vip", 4))
]
KNOWN = {each.key: each for each in ATTRIBUTES}
ACCOUNT = ChannelAccount(channel_account_id="a1", channel=channel_pb2.CHANNEL_LINE, display_name="LINE")
SAVED = SavedAudience(saved_audience_id="01890000-0000-7000-8000-000000000001", name="Best")
VISIT: Any = SimpleNamespace(
    say=lambda text, **_: text, language="en", formats=SimpleNamespace(zone=ZoneInfo("Asia/Taipei"))
)
CHOICES = Choices([ACCOUNT], [], [], ATTRIBUTES, [SAVED], ["VIP"])
pb: Any = audience_pb2  # numbers of enums stand for themselves here
TEXT = pb.TextTest(operator=pb.TEXT_OPERATOR_CONTAINS, values=["a", "b c"])
BETWEEN, LESS = pb.COMPARE_OPERATOR_BETWEEN, pb.COMPARE_OPERATOR_LESS
DAY, END = pb.TimeBound(date="2026-01-02"), pb.TimeBound(date="2026-02-03")
MOMENT = pb.TimeBound(instant=Timestamp(seconds=1_700_000_001))
IS_SET = pb.IsSet()
ONES = [
    *(pb.Audience(tags=pb.TagPredicate(operator=each, tags=["VIP", "old <b>"])) for each in (1, 2, 3)),
    pb.Audience(tags=pb.TagPredicate(operator=1, tags=["with, comma"])),
    *(pb.Audience(basic=pb.BasicPredicate(field=each, text=TEXT)) for each in (1, 2, 3)),
    pb.Audience(basic=pb.BasicPredicate(field=1, is_set=IS_SET)),
    pb.Audience(attribute=pb.AttributePredicate(key="tier", text=TEXT)),
    pb.Audience(attribute=pb.AttributePredicate(key="tier", is_set=IS_SET)),
    pb.Audience(attribute=pb.AttributePredicate(key="gone", text=TEXT)),
    pb.Audience(
        attribute=pb.AttributePredicate(
            key="size", number=pb.NumberTest(operator=BETWEEN, value="1", upper="2.5")
        )
    ),
    pb.Audience(
        attribute=pb.AttributePredicate(key="birthday", date=pb.DateTest(operator=LESS, value="2000-01-01"))
    ),
    pb.Audience(attribute=pb.AttributePredicate(key="vip", boolean=pb.BooleanTest(value=False))),
    pb.Audience(time=pb.TimePredicate(field=1, within_last_days=30)),
    pb.Audience(time=pb.TimePredicate(field=2, before=DAY)),
    pb.Audience(time=pb.TimePredicate(field=3, between=pb.TimeRange(start=DAY, end=END))),
    pb.Audience(time=pb.TimePredicate(field=4, never=pb.Never())),
    pb.Audience(time=pb.TimePredicate(field=4, before=MOMENT)),
    pb.Audience(binding=pb.BindingPredicate(operator=1, channel=1)),
    pb.Audience(binding=pb.BindingPredicate(operator=2, channel=1, account_id="a1")),
    pb.Audience(points=pb.PointsPredicate(figure=1, operator=6, value=100)),
    pb.Audience(points=pb.PointsPredicate(figure=2, operator=BETWEEN, value=1, upper=9)),
    pb.Audience(
        saved_audience=pb.SavedAudiencePredicate(operator=2, saved_audience_id=SAVED.saved_audience_id)
    ),
]


class Form(HTMLParser):
    """What a browser sends of a page without being touched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, object] = {}
        self._select = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        name, value = known.get("name") or "", known.get("value") or ""
        if tag == "input" and name and (known.get("type") != "checkbox" or "checked" in known):
            self.fields[name] = value
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in known or self._select not in self.fields):
            self.fields[self._select] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


def fields(root: Item) -> dict[str, object]:
    """Of the form that is shown of it."""
    context = {"builder": Builder(VISIT, root, CHOICES), "faults": Faults(), "page_faults": Faults()}
    html = PAGES.render("en", "audiences/builder_part.html", {**context, "number": str})
    assert "<b>" not in html
    return Form(html).fields


def plain(audience: audience_pb2.Audience) -> audience_pb2.Audience:
    """Without groups of one and what is denied twice."""
    kind = audience.WhichOneof("expression")
    if kind == "negation":
        inner = plain(audience.negation)
        return inner.negation if inner.HasField("negation") else pb.Audience(negation=inner)
    if kind in {"all_of", "any_of"}:
        items = [plain(each) for each in getattr(audience, kind).items]
        return items[0] if len(items) == 1 else pb.Audience(**{kind: pb.AudienceList(items=items)})
    return audience


def groups(inner: st.SearchStrategy[audience_pb2.Audience]) -> st.SearchStrategy[audience_pb2.Audience]:
    lists = st.lists(inner, min_size=1, max_size=3).map(lambda items: pb.AudienceList(items=items))
    return st.one_of(
        lists.map(lambda each: pb.Audience(all_of=each)),
        lists.map(lambda each: pb.Audience(any_of=each)),
        inner.map(lambda each: pb.Audience(negation=each)),
    )


@given(st.recursive(st.sampled_from(ONES), groups, max_leaves=6))
@settings(max_examples=30, deadline=None)
def test_what_is_shown_and_sent_back_untouched_says_the_same(audience: audience_pb2.Audience) -> None:
    root = read_tree(fields(tree_of(audience, KNOWN)), KNOWN)
    assert root is not None
    assert plain(written(root, KNOWN).audience) == plain(audience)


@pytest.mark.parametrize("one", ONES, ids=lambda each: each.WhichOneof("expression"))
def test_every_condition_can_be_shown_alone(one: audience_pb2.Audience) -> None:
    root = read_tree(fields(tree_of(one, KNOWN)), KNOWN)
    assert root is not None
    assert written(root, KNOWN).audience == one


def test_buttons_add_and_take_away_within_groups() -> None:
    root = tree_of(ONES[0], KNOWN)
    assert is_changed_by(root, "group-a")
    assert is_changed_by(root, "one-a-1")
    assert [len(each.items) for each in root.items] == [0, 2]
    assert is_changed_by(root, "remove-a-0")
    assert [each.kind for each in root.items] == ["group"]
    for stale in ("remove-a-7", "one-a-0-9-9", "group-", "remove-a", "one-x-y", "", "save"):
        is_changed_by(root, stale)
    assert [each.kind for each in root.items] == ["group"]
    assert written(root, KNOWN).audience == pb.Audience(), "what is about nothing yet is left out"


def test_a_form_has_bounds() -> None:
    root = tree_of(pb.Audience(), KNOWN)
    for _ in range(2 * ITEMS_MAX):
        is_changed_by(root, "one-a")
    assert len(root.items) < ITEMS_MAX
    path = "a"
    for _ in range(20):
        is_changed_by(root, f"group-{path}")
        path += f"-{0 if path != 'a' else len(root.items) - 1}"
    deep = {f"a{'-0' * depth}-kind": "group" for depth in range(500)}
    assert read_tree(deep, KNOWN) is not None


def test_a_value_of_another_kind_goes_with_its_subject() -> None:
    sent = fields(tree_of(pb.Audience(time=pb.TimePredicate(field=1, within_last_days=30)), KNOWN))
    root = read_tree({**sent, "a-0-subject": "attribute:birthday"}, KNOWN)
    assert root is not None
    (one,) = root.items
    assert (one.condition.operator, one.condition.value) == ("equals", "")


def test_faults_stand_at_the_condition_that_they_are_about() -> None:
    denied = pb.Audience(negation=pb.Audience(all_of=pb.AudienceList(items=[ONES[0], ONES[1]])))
    items = [ONES[0], pb.Audience(negation=ONES[-2]), denied]
    root = tree_of(pb.Audience(any_of=pb.AudienceList(items=items)), KNOWN)
    root.items.insert(0, Item())
    names = Builder(VISIT, root, CHOICES).names("audience")
    paths = {
        "any_of.items[1].negation.points.upper": "a-2-value",
        "any_of.items[2].negation.all_of.items[1].tags.tags[0]": "a-3-1-value",
        "any_of": "a-joined",
    }
    for path, field in paths.items():
        violation = SimpleNamespace(field=f"audience.{path}", description="no")
        error: Any = SimpleNamespace(violations=[violation], message="")
        assert Faults.of(error, names, say=str).by_field == {field: "no"}, path
    root.items[1].condition.value, root.items[2].condition.value = "", "x"
    assert Builder(VISIT, root, CHOICES).faults.get("a-2-value") == "Enter a whole number."


def test_what_a_condition_can_be_about_stands_under_headings() -> None:
    """依顧客基本資料、依互動時間、依綁定狀態、社群點數"""
    groups = dict(Builder(VISIT, Item("group"), CHOICES).subjects)
    assert [*groups][:4] == ["By basic data", "By times of interaction", "By binding", "Loyalty points"]
    offered = [value for pairs in groups.values() for value, _ in pairs]
    assert len(offered) == len(set(offered))
    assert {*offered} == {value for value, _ in SUBJECTS} | {f"attribute:{key}" for key in KNOWN}
