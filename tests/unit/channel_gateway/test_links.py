"""Short links: what is one, what its token gives away, and who opens it."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest

from libs.common.ids import derived_id, new_id
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    ImageCard,
    TemplateContent,
    TextCard,
)
from services.channel_gateway.domain.link_agents import program_of
from services.channel_gateway.domain.link_tokens import LINK_ID_MAX, TokenSeal
from services.channel_gateway.domain.links import is_target, shortened, tracked_cards, tracked_template

SEAL = TokenSeal(bytes(range(32)))


def short(text: str) -> str:
    """The text with `[address]` for each short link."""
    return shortened(text, lambda url: f"[{url}]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://a.example/x", "see [https://a.example/x]"),
        ("https://a.example/x?b=1&c=2#d.", "[https://a.example/x?b=1&c=2#d]."),
        ("(https://a.example/x), and", "([https://a.example/x]), and"),
        ("https://a.example/w_(x)", "[https://a.example/w_(x)]"),
        ("<https://a.example/>", "<[https://a.example/]>"),
        ("HTTP://A.example", "[HTTP://A.example]"),
        ("快來https://a.example/x，享八折", "快來[https://a.example/x]，享八折"),
        ("https://a.example/1 https://a.example/2", "[https://a.example/1] [https://a.example/2]"),
        ("https://a.example/台灣", "https://a.example/台灣"),
        ("https://a.example/x享八折", "https://a.example/x享八折"),
        ("javascript:alert(1)//https", "javascript:alert(1)//https"),
        ("https://shop.example@evil.example/", "https://shop.example@evil.example/"),
        ("xhttps://a.example/", "xhttps://a.example/"),
        ("https:///nowhere", "https:///nowhere"),
        ("https://a.example:port/", "https://a.example:port/"),
        ("https://a.example/" + "x" * 2_000, "https://a.example/" + "x" * 2_000),
        ("no link", "no link"),
    ],
)
def test_links_of_a_text_are_addresses_as_people_write_them(text: str, expected: str) -> None:
    assert short(text) == expected


@pytest.mark.rule("C-30b")
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//a.example",
        "ftp://a.example",
        "https://a\r\nb: c",
        "https://u:p@a.example",
        "",
    ],
)
def test_nothing_but_a_plain_web_address_is_a_target(url: str) -> None:
    assert not is_target(url)
    assert is_target("https://a.example/x")


def test_texts_captions_and_buttons_are_tracked_and_pictures_are_not() -> None:
    cards: list[FlatCard] = [
        TextCard("a https://a.example/1"),
        ImageCard("https://a.example/p.png", caption="b https://a.example/2"),
        ButtonCard(
            "c https://a.example/3",
            (
                Button("go", ButtonAction.URL, "https://a.example/4"),
                Button("say", ButtonAction.MESSAGE, "https://a.example/5"),
                Button("call", ButtonAction.URL, "tel:+886912345678"),
            ),
            image_url="https://a.example/q.png",
        ),
    ]
    text, image, buttons = tracked_cards(cards, "https://s.example/l", lambda url: url[-1])
    assert text == TextCard("a https://s.example/l/1")
    assert image == ImageCard("https://a.example/p.png", caption="b https://s.example/l/2")
    assert isinstance(buttons, ButtonCard)
    assert buttons.text == "c https://s.example/l/3"
    assert [button.value for button in buttons.buttons] == [
        "https://s.example/l/4",
        "https://a.example/5",
        "tel:+886912345678",
    ]
    assert buttons.image_url == "https://a.example/q.png"


def test_a_card_without_links_stays_the_same_object() -> None:
    cards: list[FlatCard] = [
        TextCard("no link"),
        ButtonCard("c", (Button("say", ButtonAction.MESSAGE, "x"),)),
    ]
    assert all(
        a is b
        for a, b in zip(tracked_cards(cards, "https://s.example/l", lambda url: url), cards, strict=True)
    )


def test_a_templates_button_gets_the_token_alone() -> None:
    content = TemplateContent(
        uuid4(),
        ("see https://a.example/1",),
        "",
        ((0, "https://a.example/2"), (1, "plain"), (2, "see https://a.example/3")),
    )
    tracked = tracked_template(content, "https://s.example/l", lambda url: url[-1])
    assert tracked.parameters == ("see https://s.example/l/1",)
    assert tracked.button_parameters == ((0, "2"), (1, "plain"), (2, "see https://a.example/3"))


@pytest.mark.parametrize("link_id", [1, 77, LINK_ID_MAX])
@pytest.mark.parametrize("key", [UUID(int=0), UUID(int=2**128 - 1), derived_id(new_id(), "a"), new_id()])
def test_a_token_is_22_letters_and_digits_and_opens_to_what_it_was_made_of(link_id: int, key: UUID) -> None:
    token = SEAL.token(link_id, key)
    assert re.fullmatch("[0-9A-Za-z]{22}", token)
    opened = SEAL.opened(token)
    assert opened is not None
    assert opened.link_id == link_id
    assert opened.lowest <= key <= opened.highest
    assert (opened.highest.int - opened.lowest.int).bit_length() == 44


def test_tokens_of_neighbours_have_nothing_in_common_and_changed_ones_name_no_neighbour() -> None:
    key = derived_id(new_id(), "a")
    first, second = SEAL.token(1, key), SEAL.token(2, key)
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 8
    neighbours = 0
    for place in range(22):
        for digit in "0aZ":
            changed = first[:place] + digit + first[place + 1 :]
            opened = SEAL.opened(changed)
            neighbours += changed != first and opened is not None and opened.lowest <= key <= opened.highest
    assert neighbours == 0


@pytest.mark.parametrize(
    "token", ["", "a" * 21, "a" * 23, "z" * 22, "a" * 21 + "-", "a" * 21 + "é", "a" * 21 + "²"]
)
def test_what_is_no_token_does_not_open(token: str) -> None:
    assert SEAL.opened(token) is None


def test_a_token_of_another_installation_opens_to_nothing_of_ours() -> None:
    key = derived_id(new_id(), "a")
    opened = TokenSeal(bytes(range(1, 33))).opened(SEAL.token(1, key))
    assert opened is None or not opened.lowest <= key <= opened.highest


IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.rule("C-30c")
@pytest.mark.parametrize(
    ("agent", "program"),
    [
        (IPHONE + " Version/17.5 Mobile/15E148 Safari/604.1", ""),
        (IPHONE + " Mobile/15E148 Safari Line/14.9.0", ""),
        (IPHONE + " Mobile/21F90 [FBAN/FBIOS;FBAV/466.0.0.41.107]", ""),
        (IPHONE + " Mobile/15E148 Instagram 332.0.0.27.83", ""),
        (
            "Mozilla/5.0 (Linux; Android 13; CUBOT X30) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
            "",
        ),
        ("Opera/9.80 (Android; Opera Mini/7.5) Presto/2.12 Version/12.16", ""),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "Facebook preview"),
        ("facebookexternalhit/1.1;line-poker/1.0", "LINE preview"),
        ("WhatsApp/2.24.13.77 A", "WhatsApp preview"),
        ("TelegramBot (like TwitterBot)", "Telegram preview"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Slack preview"),
        (IPHONE + " facebookexternalhit/1.1 Facebot Twitterbot/1.0", "Facebook preview"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawler"),
        ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "crawler"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/126.0 Safari/537.36",
            "headless browser",
        ),
        ("curl/8.5.0", "curl"),
        ("Shop scan 1.0\x00\udcff", "Shop scan 1.0"),
        ("", "no User-Agent"),
    ],
)
def test_programs_are_known_by_what_they_say_of_themselves(agent: str, program: str) -> None:
    assert program_of("GET", {"User-Agent": agent}) == program


@pytest.mark.rule("C-30c")
@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"])
def test_what_is_fetched_beforehand_is_no_click(header: str) -> None:
    browser = {"User-Agent": IPHONE}
    assert program_of("GET", browser) == ""
    assert program_of("GET", {**browser, header: "prefetch;prerender"}) == "prefetch"
    assert program_of("HEAD", browser) == "HEAD"
