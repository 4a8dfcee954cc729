"""What the LINE emulator refuses, and where it says the fault lies."""

from typing import Any

import pytest

from libs.emulators.line_rules import check_push, graphemes, utf16_units

USER = "U" + "0" * 31 + "2"


def push(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"to": USER, "messages": list(messages), **more}


def text(content: Any = "hi") -> dict[str, Any]:
    return {"type": "text", "text": content}


def buttons(**more: Any) -> dict[str, Any]:
    actions = [{"type": "uri", "label": "Shop", "uri": "https://shop.example/a"}]
    template = {"type": "buttons", "text": "Look", "actions": actions, **more}
    return {"type": "template", "altText": "Look", "template": template}


@pytest.mark.parametrize(
    "body",
    [
        push(text()),
        push(text("x" * 5000)),
        push(*[text()] * 5),
        push(text(), customAggregationUnits=["j7Kq2_n3"], notificationDisabled=True),
        push(
            {"type": "image", "originalContentUrl": "https://a/b.png", "previewImageUrl": "https://a/c.png"}
        ),
        push(buttons()),
        push(buttons(title="Title", text="x" * 60)),
        push({"type": "flex", "altText": "a", "contents": {"type": "bubble"}}),
    ],
)
def test_takes_what_the_reference_allows(body: Any) -> None:
    assert check_push(body) == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], ""),
        ({"messages": [text()]}, "to"),
        ({"to": "U123", "messages": [text()]}, "to"),
        ({"to": USER, "messages": []}, "messages"),
        (push(*[text()] * 6), "messages"),
        (push(text("")), "messages[0].text"),
        (push(text("x" * 5001)), "messages[0].text"),
        (push(text("\U0001f600" * 2501)), "messages[0].text"),
        (push(text(), {"type": "song"}), "messages[1].type"),
        (push(text(), "hi"), "messages[1]"),
        (push(buttons(actions=[])), "messages[0].template.actions"),
        (push(buttons(title="T", text="x" * 61)), "messages[0].template.text"),
        (push(buttons(text="x" * 161)), "messages[0].template.text"),
        (
            push(buttons(actions=[{"type": "uri", "label": "x" * 21, "uri": "https://a"}])),
            "messages[0].template.actions[0].label",
        ),
        (
            push(buttons(actions=[{"type": "uri", "label": "x", "uri": "ftp://a"}])),
            "messages[0].template.actions[0].uri",
        ),
        (
            push(buttons(actions=[{"type": "postback", "label": "x", "data": "d" * 301}])),
            "messages[0].template.actions[0].data",
        ),
        (
            push({"type": "image", "originalContentUrl": "http://a", "previewImageUrl": "https://a"}),
            "messages[0].originalContentUrl",
        ),
        (push(text(), customAggregationUnits=["a", "b"]), "customAggregationUnits"),
        (push(text(), customAggregationUnits=["with-dash"]), "customAggregationUnits[0]"),
        (push(text(), notificationDisabled="no"), "notificationDisabled"),
    ],
)
def test_names_the_property_of_a_fault(body: Any, path: str) -> None:
    assert [fault["property"] for fault in check_push(body)] == [path]


def test_carousels_have_the_same_number_of_actions_in_every_column() -> None:
    one = {"type": "message", "label": "Yes", "text": "yes"}
    columns = [{"text": "a", "actions": [one]}, {"text": "b", "actions": [one, one]}]
    message = {"type": "template", "altText": "a", "template": {"type": "carousel", "columns": columns}}
    assert [fault["property"] for fault in check_push(push(message))] == ["messages[0].template.columns"]


def test_texts_count_utf16_units_and_labels_what_people_see() -> None:
    assert utf16_units("a\U0001f600") == 3
    assert graphemes("e\u0301") == 1
    assert graphemes("\U0001f468\u200d\U0001f469\u200d\U0001f467") == 1
    assert graphemes("\U0001f44d\U0001f3fd!") == 2
