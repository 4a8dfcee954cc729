"""Texts, tags, money and times of a definition: what can never work is a fault where it stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.journey.domain import model as d
from services.journey.domain.validate import faults_of, new_faults, past_faults
from tests.unit.journey.builders import ACCOUNT, NOW, delay, journey, message

WHATSAPP = d.Target(d.Channel.WHATSAPP, ACCOUNT)


def faults(*nodes: d.Node, **definition: object) -> list[str]:
    return [fault.field for fault in faults_of(journey(*nodes, **definition).definition)]  # type: ignore[arg-type]


def parameters(*texts: str) -> list[str]:
    template = d.Template(UUID(int=5), texts)
    return faults(d.Node("send", d.Message(d.Channel.WHATSAPP, template=template)), targets=(WHATSAPP,))


@pytest.mark.parametrize(
    ("add", "remove"),
    [
        (("VIP",), ("vip",)),
        (("ＶＩＰ",), ("VIP",)),
        (("straße",), ("STRASSE",)),
        (("b", "Vip"), ("a", "vIP")),
    ],
)
def test_a_tag_in_both_lists_is_found_however_it_is_written(
    add: tuple[str, ...], remove: tuple[str, ...]
) -> None:
    assert faults(d.Node("tags", d.Tags(add, remove))) == ["nodes[0].tags"]


@pytest.mark.parametrize("tag", ["", " ", "\u3000", "\u200b", "x" * 101, "a\tb", "a\nb"])
def test_a_tag_that_segment_does_not_take_is_a_fault(tag: str) -> None:
    assert faults(d.Node("tags", d.Tags(("good", tag), (tag,))))[-2:] == [
        "nodes[0].tags.add[1]",
        "nodes[0].tags.remove[0]",
    ]
    assert faults(message("m"), trigger=d.TagTrigger((tag, "good"))) == ["trigger.tag_applied.tags[0]"]


def test_names_keys_and_values_of_triggers_are_looked_at_one_by_one() -> None:
    items = d.CheckoutTrigger("is", ("Tea", " ", "x" * 501))
    path = "trigger.checkout_completed.item.names"
    assert faults(message("m"), trigger=items) == [f"{path}[1]", f"{path}[2]"]
    changed = d.AttributeTrigger(("tier", "x" * 65, "1a", ""), ("gold", ""))
    assert faults(message("m"), trigger=changed) == [
        *(f"trigger.attribute_changed.keys[{place}]" for place in (1, 2, 3)),
        "trigger.attribute_changed.value.any_of[1]",
    ]


@pytest.mark.parametrize("currency", ["twd", "NT$", "TW", "Twd", "TWDX"])
def test_a_currency_is_three_capitals(currency: str) -> None:
    amount = "trigger.checkout_completed.amount"
    low = d.CheckoutTrigger(at_least=1, currency=currency)
    assert faults(message("m"), trigger=low) == [f"{amount}.at_least.currency_code"]
    high = d.CheckoutTrigger(at_most=1, currency=currency)
    assert faults(message("m"), trigger=high) == [f"{amount}.at_most.currency_code"]
    for good in ("TWD", ""):
        assert faults(message("m"), trigger=d.CheckoutTrigger(at_least=1, currency=good)) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{customer.first_name}}",
        "{{customer.name",
        "{name}",
        "%name%",
        "{{ customer.name | upper }}",
        "${name}",
        "",
        " ",
        "Leave at door\nRing twice",
        "a\tb",
        "five     blanks",
        "{{customer.name|Dear\ncustomer}}",
        "x" * 1_025,
    ],
)
def test_a_parameter_that_cannot_be_sent_is_a_fault(text: str) -> None:
    assert set(parameters("{{customer.name}}", text)) == {"nodes[0].message.template.parameters[1]"}


def test_parameters_that_can_be_sent_are_none() -> None:
    assert parameters("{{customer.name|friend}}", "four    blanks, 50% off", "{{points.balance}} 點") == []


def test_attributes_have_keys_and_values_that_can_be_set() -> None:
    def found(key: str, text: str) -> list[str]:
        return faults(d.Node("set", d.Attribute(key, text)))

    assert found("tier", "gold") == []
    assert found("x" * 5_000, "gold") == ["nodes[0].attribute.key"]
    assert found("my tier", " ") == ["nodes[0].attribute.key", "nodes[0].attribute.text"]


def test_windows_start_on_days_of_the_week_and_are_fifty_at_most() -> None:
    for day in (0, 9):
        quiet = (d.QuietWindow(60, 120, (1, day)),)
        assert faults(message("m"), quiet=quiet) == ["do_not_disturb.windows[0].weekdays"]
    assert faults(message("m"), quiet=(d.QuietWindow(60, 120),) * 50) == []
    assert faults(message("m"), quiet=(d.QuietWindow(60, 120),) * 51) == ["do_not_disturb.windows"]


def test_a_schedule_that_has_passed_lets_nobody_enter() -> None:
    def passed(end_in: timedelta) -> bool:
        schedule = d.Schedule(NOW - timedelta(days=1), NOW + end_in, d.ExpiryAction.STOP)
        return bool(past_faults(schedule, NOW))

    assert passed(timedelta())
    assert passed(-timedelta(hours=1))
    assert not passed(timedelta(seconds=1))
    assert past_faults(None, NOW) == []


def test_an_edit_is_held_to_what_it_makes_worse() -> None:
    old = journey(d.Node("tags", d.Tags(("VIP",), ("vip",))), delay("wait", 60)).definition
    assert new_faults(old, old) == []
    worse = journey(d.Node("tags", d.Tags(("VIP", ""), ("vip",))), delay("wait", 60)).definition
    assert [fault.field for fault in new_faults(worse, old)] == ["nodes[0].tags.add[1]"]


def of_template(**texts: Any) -> list[str]:
    template = d.Template(UUID(int=5), **texts)
    return faults(d.Node("send", d.Message(d.Channel.WHATSAPP, template=template)), targets=(WHATSAPP,))


@pytest.mark.rule("J-11a", "J-30b")
def test_parameters_of_header_and_buttons_are_looked_at_as_those_of_the_body() -> None:
    path = "nodes[0].message.template"
    assert (
        of_template(
            header_parameters=("{{customer.name|you}}",), button_parameters=("", "a/{{attribute.id}}")
        )
        == []
    )
    for bad in ("{{customer.first_name}}", " ", "a\nb", "x" * 1_025):
        assert set(of_template(header_parameters=(bad,))) == {f"{path}.header_parameters[0]"}
        assert set(of_template(button_parameters=("", bad))) == {f"{path}.button_parameters[1]"}
    assert of_template(header_parameters=("x" * 61,)) == [f"{path}.header_parameters[0]"]
    assert of_template(header_parameters=("x" * 60,)) == []
    assert of_template(header_parameters=("a", "b")) == [f"{path}.header_parameters"]
    assert of_template(parameters=("x" * 1_000, "{{customer.name}}" + "y" * 24)) == []
    assert of_template(parameters=("x" * 1_000, "y" * 25)) == [f"{path}.parameters"]
    assert of_template(button_parameters=("a",) * 11) == [f"{path}.button_parameters"]
    media = d.HeaderMedia(d.MediaKind.IMAGE, "https://shop.example/{{trigger.code}}.png")
    assert of_template(header_media=media) == []
    media = d.HeaderMedia(d.MediaKind.DOCUMENT, "https://shop.example/{{code}}.pdf", "a\nb")
    assert of_template(header_media=media) == [
        f"{path}.header_media.document_url",
        f"{path}.header_media.filename",
    ]
