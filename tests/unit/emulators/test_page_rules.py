"""What the emulators of Messenger and Instagram refuse in a body."""

from typing import Any

import pytest

from libs.emulators.page_errors import PageError
from libs.emulators.page_rules import INSTAGRAM, MESSENGER, Check

BUTTON = {"type": "postback", "title": "Go", "payload": "go"}
LINK = {"type": "web_url", "title": "Go", "url": "https://example.com"}


def body(**message: Any) -> dict[str, Any]:
    return {"recipient": {"id": "1"}, "messaging_type": "UPDATE", "message": message}


def template(**payload: Any) -> dict[str, Any]:
    return body(attachment={"type": "template", "payload": payload})


def buttons(*given: Any, text: str = "t") -> dict[str, Any]:
    return template(template_type="button", text=text, buttons=list(given))


def elements(*given: Any) -> dict[str, Any]:
    return template(template_type="generic", elements=list(given))


def reply(**changes: Any) -> dict[str, Any]:
    return {"content_type": "text", "title": "A", "payload": "a", **changes}


@pytest.mark.parametrize(
    "good",
    [
        body(text="x" * 1000),
        body(text="Which?", quick_replies=[reply()] * 13),
        body(attachment={"type": "image", "payload": {"url": "https://example.com/a.png"}}),
        body(attachments=[{"type": "image", "payload": {"url": "https://example.com/a.png"}}] * 10),
        buttons(BUTTON, LINK, BUTTON, text="x" * 640),
        elements({"title": "x" * 80, "subtitle": "y" * 80, "buttons": [LINK]}),
    ],
)
@pytest.mark.parametrize("dialect", [MESSENGER, INSTAGRAM])
def test_what_fits_is_taken(dialect: Any, good: dict[str, Any]) -> None:
    assert Check(dialect).body(good).recipient == "1"


@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        {**body(text="a"), "recipient": {"id": "x"}},
        {**body(text="a"), "messaging_type": "NEWS"},
        {**body(text="a"), "messaging_type": "MESSAGE_TAG"},
        {**body(text="a"), "messaging_type": "MESSAGE_TAG", "tag": "POST_PURCHASE_UPDATE"},
        {**body(text="a"), "sender_action": "typing_on"},
        body(),
        body(text=" "),
        body(text="x" * 2001),
        body(text="a", attachment={"type": "image", "payload": {"url": "https://example.com"}}),
        body(text="a", colour="red"),
        body(text="a", metadata="x" * 1001),
        body(text="a", quick_replies=[]),
        body(text="a", quick_replies=[reply()] * 14),
        body(text="a", quick_replies=[reply(title="x" * 21)]),
        body(text="a", quick_replies=[reply(payload="x" * 1001)]),
        body(text="a", quick_replies=[{}]),
        body(attachment={"type": "image", "payload": {"url": "ftp://example.com"}}),
        body(attachment={"type": "poem", "payload": {}}),
        body(attachments=[]),
        body(attachments=[{"type": "image", "payload": {"url": "https://example.com"}}] * 31),
        template(template_type="receipt"),
        buttons(),
        buttons(BUTTON, BUTTON, BUTTON, BUTTON),
        buttons(BUTTON, text="x" * 641),
        buttons({**BUTTON, "title": "x" * 21}),
        buttons({**BUTTON, "payload": ""}),
        buttons({**LINK, "url": "x"}),
        buttons({"type": "call", "title": "a"}),
        elements(),
        elements(*[{"title": "a", "subtitle": "b"}] * 11),
        elements({"title": "x" * 81, "subtitle": "b"}),
        elements({"title": "a", "subtitle": "x" * 81}),
        elements({"title": "a"}),
        elements({"title": "a", "image_url": 7}),
    ],
)
@pytest.mark.parametrize("dialect", [MESSENGER, INSTAGRAM])
def test_what_does_not_fit_is_refused_as_a_parameter(dialect: Any, bad: Any) -> None:
    with pytest.raises(PageError) as refused:
        Check(dialect).body(bad)
    assert refused.value.code == 100


def test_instagram_counts_bytes_and_needs_no_kind_of_message() -> None:
    plain = {"recipient": {"id": "1"}, "message": {"text": "\u7f8e" * 333}}
    assert Check(INSTAGRAM).body(plain).recipient == "1"
    with pytest.raises(PageError):
        Check(INSTAGRAM).body(body(text="\u7f8e" * 334))
    with pytest.raises(PageError):
        Check(MESSENGER).body(plain)
