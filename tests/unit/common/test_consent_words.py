"""Which messages say whether somebody wants messages: a word is the whole of one."""

from __future__ import annotations

import pytest

from libs.common.consent_words import DEFAULTS, ConsentWords


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        " stop. ",
        "Ｓｔｏｐ",
        "Stop!!",
        "stop　all",
        "  STOP \n ALL ",
        "unsubscribe",
        "「退訂」",
        "取消訂閱！",
        "\u200b退訂\ufeff",
        "退订。",
    ],
)
def test_words_that_end_messages(text: str) -> None:
    assert DEFAULTS.wanted(text) is False


@pytest.mark.parametrize("text", ["start", "訂閱", "Unstop!", "ＳＵＢＳＣＲＩＢＥ", "重新訂閱"])
def test_words_that_begin_them_again(text: str) -> None:
    assert DEFAULTS.wanted(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "please stop by",
        "don't stop",
        "stop it",
        "S T O P",
        "我要退訂",
        "退訂了嗎",
        "stop " * 1_000,
        "stop" + " " * 300,
        "...",
        "\0",
    ],
)
def test_other_texts_say_nothing_of_it(text: str) -> None:
    assert DEFAULTS.wanted(text) is None


def test_a_teams_words_take_the_place_of_the_defaults_of_their_kind() -> None:
    words = ConsentWords.of(["Ａｕｓ", "不要了"], [])
    assert [words.wanted(text) for text in ("aus!", " 不要了 ", "STOP", "START")] == [
        False,
        False,
        None,
        True,
    ]


def test_a_word_of_both_kinds_ends_messages() -> None:
    assert ConsentWords.of(["ok"], ["OK"]).wanted("Ok") is False
