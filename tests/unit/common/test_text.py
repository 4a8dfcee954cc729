"""How text is compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.text import fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CANDY", "candy"),
        ("ＬＩＮＥ　Ｐａｙ", "line pay"),
        ("Straße", "STRASSE"),
        ("é", "É"),
        ("ﾊｰﾄ", "ハート"),
        ("①", "1"),
    ],
)
def test_what_people_call_equal_is_equal(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_what_differs_stays_different() -> None:
    assert len({fold(text) for text in ("ı", "i", "e", "é", " a", "a", "")}) == 7


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_every_character_rests_after_one_fold() -> None:
    characters = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    folded = {fold(character) for character in characters}
    assert [text for text in folded if fold(text) != text] == []


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_of_plain_text_is_the_long_way(text: str) -> None:
    assert fold(text) == fold("é" + text)[1:]
