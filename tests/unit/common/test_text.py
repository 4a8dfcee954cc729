"""How text is compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.hints import Reason, read_email
from libs.common.text import as_address, as_key, as_seen, fold, shows, trimmed


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


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\ufeff", "\u061c", "\u180e", "\u3164", "\u2800", "\u2063", "\u00ad"]
)
def test_what_nobody_sees_is_left_out_within_and_around(unseen: str) -> None:
    assert as_key(f"{unseen} M{unseen}-1\u00a0{unseen}") == "M-1"
    assert as_address(f"{unseen}ann@{unseen}example.com ") == "ann@example.com"
    assert as_seen(f" 陳{unseen}怡君{unseen}\u3000") == "陳怡君"


def test_addresses_in_full_width_are_read() -> None:
    assert as_address("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ") == "ann@example.com"


@pytest.mark.parametrize(
    "copied",
    [
        "mailto:ann@example.com",
        "MAILTO:ann@example.com ",
        "<ann@example.com>",
        "ann@example.com;",
        " ann@example.com. ",
    ],
)
def test_an_address_is_read_without_what_is_copied_with_it(copied: str) -> None:
    assert read_email(copied) == "ann@example.com"


@pytest.mark.parametrize(
    "several", ["ann@a.tw,bob@a.tw", "ann@a.tw;bob@a.tw", "ann@@a.tw", "Ann <ann@a.tw>", "@a.tw"]
)
def test_what_is_not_one_address_is_none(several: str) -> None:
    assert read_email(several) is Reason.MALFORMED


@pytest.mark.parametrize("text", ["👨‍👩‍👧", "❤️", "می‌خواهم", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "Chan Tai Man"])
def test_a_name_keeps_what_it_is_written_with(text: str) -> None:
    assert as_seen(f" {text} ") == text


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize(
    "text",
    ["\ufe0f", "\U000e0001\U000e0020", " \u034f\u200d", "\u17b4", "\u3164", "\u115f\uffa0", "\u2028\ufe0e"],
)
def test_a_text_of_nothing_but_marks_shows_nothing(text: str) -> None:
    assert not shows(text)
    assert as_seen(text) == ""
    assert as_seen(f"{text}Ann{text[:1]}").startswith("Ann")


@given(st.text())
def test_what_was_cleaned_is_clean(text: str) -> None:
    for clean in (trimmed, as_seen, as_key, as_address):
        assert clean(clean(text)) == clean(text)
