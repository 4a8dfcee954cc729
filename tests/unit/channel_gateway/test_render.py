"""Variables, defaults, condition and coupon cards."""

from __future__ import annotations

import pytest

from libs.common.text_variables import fill
from services.channel_gateway.domain.addresses import plain_address
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    ConditionCard,
    CouponCard,
    ImageCard,
    PointComparison,
    PointFigure,
    TemplateContent,
    TextCard,
)
from services.channel_gateway.domain.model import Balance, Profile
from services.channel_gateway.domain.render import (
    Values,
    card_text_faults,
    cards_need_points,
    filled,
    flatten,
    holds,
    template_needs_points,
)
from tests.unit.channel_gateway.build import TEMPLATE

VALUES = Values(Profile("Mei", {"tier": "gold"}), Balance(120, 300))


@pytest.mark.rule("C-10a")
@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hi {{customer.name}}!", "Hi Mei!"),
        ("{{ customer.name | friend }}", "Mei"),
        ("{{attribute.tier}}/{{attribute.city|somewhere}}/{{attribute.none}}", "gold/somewhere/"),
        ("{{points.balance}} of {{points.cumulative}}", "120 of 300"),
        ("no variables, {single} braces", "no variables, {single} braces"),
        ("{{{customer.name}}}", "{Mei}"),
    ],
)
def test_variables_are_filled_in(text: str, filled: str) -> None:
    assert fill(text, VALUES.get) == filled


@pytest.mark.rule("C-10a")
def test_a_missing_value_takes_the_default() -> None:
    nobody = Values(Profile(), None)
    assert (
        fill("Hi {{customer.name|friend}}, {{points.balance|some}} points", nobody.get)
        == "Hi friend, some points"
    )


@pytest.mark.rule("C-10a")
def test_data_of_the_trigger_are_filled_in_as_they_came() -> None:
    text = "{{trigger.code|none}} {{trigger.empty|-}} {{trigger.name}}"
    told = Values(Profile("Mei"), None, trigger_data={"code": "{{customer.name}}", "empty": ""})
    assert fill(text, told.get) == "{{customer.name}} - "
    assert fill(text, VALUES.get) == "none - "


def test_values_are_not_filled_in_again() -> None:
    tricky = Values(Profile("{{points.balance}}"), Balance(5, 5))
    assert fill("Hi {{customer.name}}", tricky.get) == "Hi {{points.balance}}"


@pytest.mark.parametrize("name", ["customer.first_name", "points.level", "points.balance.x", "name", "", "1"])
def test_a_variable_that_does_not_exist_has_no_value(name: str) -> None:
    assert fill(f"Hi {{{{{name}}}}}!", VALUES.get) == "Hi !"
    assert fill(f"Hi {{{{{name}|friend}}}}!", VALUES.get) == "Hi friend!"


def test_what_nothing_fills_in_is_named_by_its_field() -> None:
    link = Button(
        "Hi {{customer.name}}", ButtonAction.URL, "https://example.com/?n={{customer.name}}&p=%name%"
    )
    say = Button("More", ButtonAction.MESSAGE, "more for {name}")
    card = ButtonCard("{{customer.age}}", (link, say), title="%name%")
    fields = [field for field, _ in card_text_faults(card)]
    assert set(fields) == {"title", "text", "buttons[0].label", "buttons[0].url", "buttons[1].message_text"}
    plain = Button("Go", ButtonAction.URL, "https://example.com/?p=%name%")
    assert list(card_text_faults(ButtonCard("Hi {{customer.name|you}}", (plain,)))) == []


@pytest.mark.rule("C-10b")
@pytest.mark.parametrize(
    ("comparison", "value", "value_max", "expected"),
    [
        (PointComparison.AT_LEAST, 120, 0, True),
        (PointComparison.AT_LEAST, 121, 0, False),
        (PointComparison.AT_MOST, 120, 0, True),
        (PointComparison.AT_MOST, 119, 0, False),
        (PointComparison.BETWEEN, 100, 120, True),
        (PointComparison.BETWEEN, 121, 130, False),
        (PointComparison.EQUAL, 120, 0, True),
        (PointComparison.EQUAL, 300, 0, False),
    ],
)
def test_conditions_compare_the_balance(
    comparison: PointComparison, value: int, value_max: int, expected: bool
) -> None:
    card = ConditionCard(PointFigure.BALANCE, comparison, value, value_max)
    assert holds(card, Balance(120, 300)) is expected


@pytest.mark.rule("C-10b")
def test_cards_are_flattened_for_the_customer() -> None:
    inner = ConditionCard(
        PointFigure.CUMULATIVE, PointComparison.AT_LEAST, 300, 0, (TextCard("{{points.cumulative}}"),), ()
    )
    cards = (
        ConditionCard(PointFigure.BALANCE, PointComparison.AT_LEAST, 100, 0, (inner,), (TextCard("poor"),)),
        ImageCard("https://example.com/a.png", caption="for {{customer.name}}"),
        CouponCard("c-1", "A coupon, {{customer.name}}", "Claim"),
    )
    text, image, coupon = flatten(cards, VALUES)
    assert text == TextCard("300")
    assert isinstance(image, ImageCard)
    assert image.caption == "for Mei"
    assert isinstance(coupon, ButtonCard)
    assert coupon.text == "A coupon, Mei"
    assert (coupon.buttons[0].action, coupon.buttons[0].value) == (
        ButtonAction.POSTBACK,
        "c=claim&coupon=c-1",
    )


def test_where_points_are_closed_their_variables_take_defaults_and_coupons_are_left_out() -> None:
    closed = Values(Profile("Mei"), Balance(120, 300), points_open=False)
    branch = ConditionCard(
        *(PointFigure.BALANCE, PointComparison.AT_LEAST, 100, 0),
        (TextCard("{{customer.name}}: {{points.balance|many}}"), CouponCard("c-1", "A coupon", "Claim")),
        (),
    )
    assert flatten([branch, CouponCard("c-2", "Another", "Claim")], closed) == [TextCard("Mei: many")]


def test_points_are_asked_for_only_where_they_are_named() -> None:
    assert not cards_need_points([TextCard("{{customer.name}}")])
    assert cards_need_points([CouponCard("c-1", "A coupon", "Claim")]), "shown only where points are open"
    assert cards_need_points([TextCard("{{points.balance|0}}")])
    assert cards_need_points([ConditionCard(PointFigure.BALANCE, PointComparison.AT_LEAST, 1)])
    assert not template_needs_points(TemplateContent(TEMPLATE, ("{{customer.name}}", "fixed")))
    assert template_needs_points(
        TemplateContent(TEMPLATE, ("fixed",), button_parameters=((0, "{{points.balance}}"),))
    )


@pytest.mark.rule("C-10a")
@pytest.mark.parametrize(
    ("pasted", "plain"),
    [
        ("https://shop.example/a?b=c%20d#e", "https://shop.example/a?b=c%20d#e"),
        (" HTTPS://Shop.Example/A\u00a0", "https://shop.example/A"),
        ("https://shop.example/茶 葉?q=綠", "https://shop.example/%E8%8C%B6%20%E8%91%89?q=%E7%B6%A0"),
        ("https://shop.example/50%", "https://shop.example/50%25"),
        ("https://商店.tw/", "https://xn--czrs0t.tw/"),
        ("https://[shop/", "https://[shop/"),
        ("", ""),
    ],
)
def test_addresses_are_written_as_channels_take_them(pasted: str, plain: str) -> None:
    assert plain_address(pasted) == plain
    open_it = Button("Open", ButtonAction.URL, pasted)
    said = Button("Say", ButtonAction.MESSAGE, " 茶 ")
    card = ButtonCard("Tea", (open_it, said), image_url=pasted)
    picture = ImageCard(pasted, pasted, "Tea")
    written, shown = flatten([card, picture], VALUES)
    assert written == ButtonCard("Tea", (Button("Open", ButtonAction.URL, plain), said), image_url=plain)
    assert shown == ImageCard(plain, plain, "Tea")


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("filling", ["", " ", "\u200b\n", "\u00a0\t"])
def test_a_caption_or_a_title_without_anything_to_see_is_left_out(filling: str) -> None:
    picture = filled(ImageCard("https://example.com/a.png", "", "{{x}}"), lambda _: filling)
    assert isinstance(picture, ImageCard)
    assert picture.caption == ""
    button = Button("Yes", ButtonAction.POSTBACK, "y")
    card = filled(
        ButtonCard("Look", (button,), title="{{x}}"), lambda text: filling if "{{" in text else text
    )
    assert isinstance(card, ButtonCard)
    assert (card.title, card.text) == ("", "Look")
