"""An audience as one line that people can read, in English and in the Chinese of Taiwan. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.rpc.values import datetime_of
from omnijourney.segment.v1 import audience_pb2 as pb

VALUES_MAX: Final = 20
"""Values of one predicate that are written out; of the others only how many there are."""
VALUE_LENGTH_MAX: Final = 80
_JOINER: Final = "\u200d"
"""Holds an emoji of several together."""


class _Words(NamedTuple):
    """A language: `{a}` is what is asked about, `{v}` the values, `{x}` one value, `{y}` the last of a range."""

    all_of: str
    any_of: str
    negation: str
    quoted: str
    values: tuple[str, str]
    """Between values of which one is enough, and of which all count."""
    more: str
    tags: tuple[str, str, str]
    is_set: str
    texts: tuple[str, str, str, str, str]
    numbers: tuple[str, str, str, str, str, str, str]
    days: tuple[str, str, str, str, str, str, str]
    boolean: dict[bool, str]
    basics: tuple[str, str, str]
    times: tuple[str, str, str, str]
    within: str
    before: str
    between: str
    end_day: str
    never: str
    bound: tuple[str, str]
    channel: str
    account: str
    points: tuple[str, str]
    saved: tuple[str, str]
    gone: str
    """Stands for a saved audience that is not there."""


_LANGUAGES: Final = {
    "en": _Words(
        all_of=" and ",
        any_of=" or ",
        negation="not ({a})",
        quoted='"{x}"',
        values=(" or ", " and "),
        more="{v} (and {x} more)",
        tags=("has the tag {v}", "has the tag {v}", "has no tag {v}"),
        is_set="{a} is set",
        texts=(
            "{a} is {v}",
            "{a} is set and is not {v}",
            "{a} contains {v}",
            "{a} is set and does not contain {v}",
            "{a} starts with {v}",
        ),
        numbers=(
            "{a} = {x}",
            "{a} is set and ≠ {x}",
            "{a} < {x}",
            "{a} ≤ {x}",
            "{a} > {x}",
            "{a} ≥ {x}",
            "{a} from {x} to {y}",
        ),
        days=(
            "{a} is {x}",
            "{a} is set and is not {x}",
            "{a} before {x}",
            "{a} not after {x}",
            "{a} after {x}",
            "{a} not before {x}",
            "{a} from {x} to {y}",
        ),
        boolean={True: "{a} is true", False: "{a} is false"},
        basics=("member id", "phone", "e-mail"),
        times=(
            "last interaction of the customer",
            "last interaction of the team",
            "last marketing message",
            "last checkout",
        ),
        within="{a} within the last {x} × 24 hours",
        before="{a} before {x}",
        between="{a} from {x} until {y}",
        end_day="the end of {x}",
        never="{a} never happened",
        bound=("bound to {a}", "not bound to {a}"),
        channel="{x}",
        account="account {y} of {x}",
        points=("point balance", "cumulative points"),
        saved=("in the audience {a}", "not in the audience {a}"),
        gone="(deleted)",
    ),
    "zh-TW": _Words(
        all_of=" 且 ",
        any_of=" 或 ",
        negation="非（{a}）",
        quoted="「{x}」",
        values=("或", "及"),
        more="{v}（另有 {x} 項）",
        tags=("有標籤{v}", "有標籤{v}", "沒有標籤{v}"),
        is_set="{a}有值",
        texts=("{a}是{v}", "{a}有值且不是{v}", "{a}包含{v}", "{a}有值且不包含{v}", "{a}開頭是{v}"),
        numbers=(
            "{a} = {x}",
            "{a}有值且 ≠ {x}",
            "{a} < {x}",
            "{a} ≤ {x}",
            "{a} > {x}",
            "{a} ≥ {x}",
            "{a}從 {x} 到 {y}",
        ),
        days=(
            "{a}是 {x}",
            "{a}有值且不是 {x}",
            "{a}早於 {x}",
            "{a}不晚於 {x}",
            "{a}晚於 {x}",
            "{a}不早於 {x}",
            "{a}從 {x} 到 {y}",
        ),
        boolean={True: "{a}為是", False: "{a}為否"},
        basics=("會員 ID ", "電話", "Email "),
        times=(
            "客人最後互動時間",
            "團隊最後互動時間",
            "團隊最後行銷時間",
            "最後完成結帳時間",
        ),
        within="{a}在過去 {x} × 24 小時內",
        before="{a}早於 {x}",
        between="{a}從 {x} 到 {y} 之前",
        end_day="{x} 結束",
        never="沒有{a}",
        bound=("已綁定 {a}", "未綁定 {a}"),
        channel="{x}",
        account="{x} 帳號 {y}",
        points=("點數餘額", "累積點數"),
        saved=("屬於分眾{a}", "不屬於分眾{a}"),
        gone="（已刪除）",
    ),
}
LANGUAGES: Final = tuple(_LANGUAGES)
"""Codes of the languages; the first is the usual one."""
_CHANNELS: Final = ("LINE", "WhatsApp", "Messenger", "Instagram")


def describe(
    audience: pb.Audience, language: str, zone: str, names: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The line in one of `LANGUAGES`; instants in `zone`; `names` of saved audiences that are there, by their ids. The
    audience has no faults of form."""
    return _Line(_LANGUAGES[language], ZoneInfo(zone), names).written(audience)


class _Line:
    def __init__(self, words: _Words, zone: ZoneInfo, names: Mapping[str, str]) -> None:
        self._names = names
        self._words = words
        self._zone = zone

    def written(self, audience: pb.Audience) -> str:
        kind = audience.WhichOneof("expression")
        assert kind is not None
        return _WRITERS[kind](self, getattr(audience, kind))

    def all_of(self, message: pb.AudienceList) -> str:
        return self._words.all_of.join(map(self._inner, message.items))

    def any_of(self, message: pb.AudienceList) -> str:
        return self._words.any_of.join(map(self._inner, message.items))

    def negation(self, message: pb.Audience) -> str:
        return self._words.negation.format(a=self.written(message))

    def _inner(self, item: pb.Audience) -> str:
        text = self.written(item)
        return f"({text})" if item.WhichOneof("expression") in {"all_of", "any_of"} else text

    def tags(self, message: pb.TagPredicate) -> str:
        every = message.operator == pb.TAG_OPERATOR_ALL_OF
        values = self._values(message.tags, self._words.values[every])
        return self._words.tags[message.operator - 1].format(v=values)

    def attribute(self, message: pb.AttributePredicate) -> str:
        about = _plain(message.key)
        match message.WhichOneof("test"):
            case "text":
                return self._text(message.text, about)
            case "number":
                return _compared(self._words.numbers, message.number, about)
            case "date":
                return _compared(self._words.days, message.date, about)
            case "boolean":
                return self._words.boolean[message.boolean.value].format(a=about)
            case _:
                return self._words.is_set.format(a=about)

    def basic(self, message: pb.BasicPredicate) -> str:
        about = self._words.basics[message.field - 1]
        if message.WhichOneof("test") == "is_set":
            return self._words.is_set.format(a=about)
        return self._text(message.text, about)

    def time(self, message: pb.TimePredicate) -> str:
        words = self._words
        about = words.times[message.field - 1]
        match message.WhichOneof("test"):
            case "within_last_days":
                return words.within.format(a=about, x=message.within_last_days)
            case "before":
                return words.before.format(a=about, x=self._bound(message.before))
            case "between":
                end = self._bound(message.between.end)
                if message.between.end.WhichOneof("bound") == "date":
                    end = words.end_day.format(x=end)
                return words.between.format(a=about, x=self._bound(message.between.start), y=end)
            case _:
                return words.never.format(a=about)

    def binding(self, message: pb.BindingPredicate) -> str:
        words = self._words
        place = words.account if message.account_id else words.channel
        about = place.format(x=_CHANNELS[message.channel - 1], y=message.account_id)
        return words.bound[message.operator - 1].format(a=about)

    def points(self, message: pb.PointsPredicate) -> str:
        return _compared(self._words.numbers, message, self._words.points[message.figure - 1])

    def saved_audience(self, message: pb.SavedAudiencePredicate) -> str:
        name = self._names.get(str(UUID(message.saved_audience_id)))
        about = self._words.gone if name is None else self._words.quoted.format(x=_plain(name))
        return self._words.saved[message.operator - 1].format(a=about)

    def _text(self, test: pb.TextTest, about: str) -> str:
        return self._words.texts[test.operator - 1].format(
            a=about, v=self._values(test.values, self._words.values[0])
        )

    def _values(self, values: Iterable[str], joint: str) -> str:
        every = [self._words.quoted.format(x=_plain(value)) for value in values]
        text = joint.join(every[:VALUES_MAX])
        left = len(every) - VALUES_MAX
        return self._words.more.format(v=text, x=left) if left > 0 else text

    def _bound(self, bound: pb.TimeBound) -> str:
        if bound.WhichOneof("bound") == "date":
            return str(bound.date)
        return _instant(datetime_of(bound.instant), self._zone)


def _compared(forms: tuple[str, ...], test: Any, about: str) -> str:
    form: str = forms[test.operator - 1]
    return form.format(a=about, x=test.value, y=test.upper)


def _instant(at: datetime, zone: ZoneInfo) -> str:
    with suppress(OverflowError):  # the first and the last day that there is stay in UTC
        at = at.astimezone(zone)
    return at.isoformat(sep=" ")


def _plain(text: str) -> str:
    """One line of what can be seen, and not too long."""
    seen = "".join(each if each.isprintable() or each == _JOINER else " " for each in text)
    return seen if len(seen) <= VALUE_LENGTH_MAX else f"{seen[: VALUE_LENGTH_MAX - 1]}…"


_WRITERS: Final[dict[str, Callable[[_Line, Any], str]]] = {
    "all_of": _Line.all_of,
    "any_of": _Line.any_of,
    "negation": _Line.negation,
    "tags": _Line.tags,
    "attribute": _Line.attribute,
    "basic": _Line.basic,
    "time": _Line.time,
    "binding": _Line.binding,
    "points": _Line.points,
    "saved_audience": _Line.saved_audience,
}
