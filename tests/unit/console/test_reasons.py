"""Why somebody did not enter, and what decided a condition, in both languages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from libs.console.formats import Formats
from libs.console.journeys.deciding import decided
from libs.console.journeys.entries import CAUSES, entry
from libs.console.languages import read_words
from libs.console.visits import Visit
from omnijourney.journey.v1 import explain_pb2 as pb
from omnijourney.journey.v1 import journey_pb2
from services.journey.domain.entry_causes import EntryCause

pytestmark = pytest.mark.rule("X-07")
WORDS = read_words()


def visit(language: str) -> Visit:
    """Somebody who reads a language, without a request."""
    words = WORDS[language]

    def say(sentence: str, **values: object) -> str:
        said = words.gettext(sentence)
        return said % values if values else said

    formats = Formats(words.locale, ZoneInfo("Asia/Taipei"))
    return cast(Visit, SimpleNamespace(say=say, formats=formats, language=language))


def test_every_cause_of_the_contract_is_one_of_the_service_and_a_sentence() -> None:
    contract = {number: name.removeprefix("ENTRY_CAUSE_") for name, number in pb.EntryCause.items() if number}
    assert contract == {cause.value: cause.name for cause in EntryCause if cause}
    assert CAUSES.keys() == contract.keys()
    assert all(WORDS["zh-TW"].gettext(each) != each for each in CAUSES.values())


def test_a_journey_that_closed_by_itself_is_told_with_its_time_and_reason() -> None:
    found = pb.EntryExplanation(
        result=pb.ENTRY_RESULT_NOT_LIVE,
        cause=pb.ENTRY_CAUSE_NOT_ACTIVE,
        value="STOPPED",
        message="English",
        closed_reason=journey_pb2.STATUS_REASON_LINE_CAP_REACHED,
    )
    found.cause_time.FromJsonString("2026-03-01T00:00:00Z")
    said = entry(visit("zh-TW"), found)
    assert (said.why, said.message) == (
        "旅程已停止",
        "自 2026/03/01 08:00:00 起已無人能進入旅程。（已達旅程的 LINE 訊息量上限）",
    )
    found.closed_reason = journey_pb2.STATUS_REASON_PLAN_TRIGGER_LIMIT
    assert "(the plan's triggers of this month are used up)" in entry(visit("en"), found).message


def test_a_reason_is_said_once() -> None:
    found: Any = pb.EntryExplanation(
        result=pb.ENTRY_RESULT_REFUSED, cause=pb.ENTRY_CAUSE_ENTERED_TOO_OFTEN, value="3", message="English"
    )
    found.field = "enrolments_per_customer_max"
    said = entry(visit("en"), found)
    assert (said.why, said.message) == (
        "Most triggers of each customer: 3",
        "The customer had entered as often as the journey allows.",
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ("tags: none of them", "標籤: 沒有其中任何一個"),
        ("tags: vip, gold; silver", "標籤: vip, gold; silver"),
        ("attribute: tier = gold = best", "等級: gold = best"),
        ("attribute: other is not set", "other: 沒有值"),
        ("basic: PHONE is set", "電話: 有值"),
        ("all_of.items[1].points: 1200; negation.binding: not bound", "點數: 1,200; 社群身份綁定: 未綁定"),
        ("time: CHECKOUT never", "最後完成結帳時間: 從未"),
        ("saved_audience.time: MARKETED 2026-03-01T00:00:00+00:00", "團隊最後行銷時間: 2026/03/01 08:00:00"),
        ("something of a later release", "something of a later release"),
    ],
)  # fmt: skip
def test_what_decided_a_condition_reads_in_their_words(seen: str, words: str) -> None:
    assert decided(visit("zh-TW"), seen, {"tier": "等級"}) == words
