"""What services say is wrong is read in the visitor's language, with its numbers and names."""

from __future__ import annotations

import re
from typing import Final

import pytest

from libs.console.field_faults import SENTENCES, in_words
from libs.console.journeys.found_faults import FoundFaults
from libs.console.languages import read_words
from omnijourney.journey.v1.journey_pb2 import Definition
from omnijourney.journey.v1.node_pb2 import DelayNode, Node
from omnijourney.journey.v1.validation_pb2 import DefinitionFault

pytestmark = pytest.mark.rule("X-07")


CHINESE: Final = read_words()["zh-TW"]


def _in_chinese(sentence: str, **values: object) -> str:
    said = CHINESE.gettext(sentence)
    return said % values if values else said


def test_each_sentence_is_found_with_its_values_and_translated() -> None:
    for sentence in SENTENCES:
        given = re.sub(r"%\((n|least|most|whole)\)s", "1,200", sentence)
        given = re.sub(r"%\(([a-z]+)\)s", r"<\1>", given)
        assert in_words(lambda text, **values: text % values if values else text, given) == given
        assert re.search(r"[一-鿿]", in_words(_in_chinese, given)), sentence


def test_what_is_different_each_time_is_kept() -> None:
    assert in_words(_in_chinese, "must be at most 200 characters") == "最多 200 個字元。"
    assert in_words(_in_chinese, "must be 1 to 1000000") == "需介於 1 至 1000000。"
    assert in_words(_in_chinese, "must have 1 to 2,000 characters") == "需為 1 至 2,000 個字元。"
    said = in_words(_in_chinese, "adds and removes the same tag: 貴賓, vip")
    assert said == "新增與移除，不能填入相同標籤：貴賓, vip。"


def test_a_line_of_a_file_says_in_which_column_it_is_wrong() -> None:
    said = in_words(_in_chinese, "phone: is no phone number that can be read")
    assert said == "電話：無法辨識的電話號碼。"
    assert in_words(_in_chinese, "shoe size: is odd") == "shoe size: is odd"


def test_a_sentence_that_is_not_known_is_shown_as_it_was_told() -> None:
    assert in_words(_in_chinese, "must be purple") == "must be purple"


def test_a_fault_of_a_definition_says_what_it_is_about() -> None:
    definition = Definition(nodes=[Node(node_id="pause", delay=DelayNode())])
    given = [
        DefinitionFault(field="trigger", message="欄位內容不正確：is required"),
        DefinitionFault(field="nodes[0].delay", message="欄位內容不正確：is odd"),
    ]
    trigger, delay = FoundFaults(definition, given, [], _in_chinese).faults
    assert (trigger.about, trigger.message) == ("Trigger", "請填寫此欄位。")
    assert (delay.about, delay.node_id, delay.path) == ("Time delay", "pause", "delay")
    assert delay.message == "欄位內容不正確：is odd"
