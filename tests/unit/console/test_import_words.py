"""What a line of a file changes is read in the visitor's language."""

from __future__ import annotations

import pytest

from libs.console.import_words import change_in_words
from libs.console.languages import read_words

pytestmark = pytest.mark.rule("X-07")


def _in_chinese(sentence: str, **values: object) -> str:
    said = read_words()["zh-TW"].gettext(sentence)
    return said % values if values else said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("new customer; tag VIP", "新顧客; 標籤 VIP"),
        ("phone: - → +886912345678; new contact", "電話：- → +886912345678; 新聯絡人"),
        ("points -50", "點數 -50"),
        ("city: Taipei → 台北", "city: Taipei → 台北"),
        ("name: A; B → C", "名稱：A; B → C"),
        ("the line has more cells than the heading", "這一行的格數比標題列多。"),
    ],
)
def test_each_change_is_said_and_what_people_wrote_stays(message: str, said: str) -> None:
    assert change_in_words(_in_chinese, message) == said
