"""What a template takes and what a send brings: each thing that is missing or too much, by its field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.channel_gateway.clients.channels.sink import SinkAdapter
from services.channel_gateway.clients.channels.whatsapp import WhatsappWriter
from services.channel_gateway.domain.content import (
    HeaderKind,
    HeaderMedia,
    TemplateButton,
    TemplateButtonKind,
    TemplateContent,
    TemplateShape,
)
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.domain.references import MessageReference, message_findings
from services.channel_gateway.domain.template_shapes import (
    filled_media,
    filled_suffix,
    media_faults,
    shape_faults,
)
from tests.unit.channel_gateway.build import ACCOUNT, TEAM, TEMPLATE, send, template

PICTURE = HeaderMedia(HeaderKind.IMAGE, "https://shop.example/a.png")
FILM = HeaderMedia(HeaderKind.VIDEO, "https://shop.example/a.mp4")
LINK = TemplateButton(TemplateButtonKind.URL, "Look", takes_parameter=True)
FIXED = TemplateButton(TemplateButtonKind.URL, "Shop")
REPLY = TemplateButton(TemplateButtonKind.QUICK_REPLY, "Stop")
CODE = TemplateButton(TemplateButtonKind.OTHER, "Copy", takes_parameter=True)
HEADED = TemplateShape(HeaderKind.TEXT, 1)


def fields(shape: TemplateShape | None, **content: Any) -> list[str]:
    """Where a content of two parameters is at fault for a template of that shape."""
    filling = TemplateContent(TEMPLATE, **{"parameters": ("a", "b"), **content})
    return [field for field, _ in shape_faults(template(shape=shape), filling)]


@pytest.mark.rule("J-30b", "C-10d")
def test_what_a_template_needs_and_what_it_does_not_take_is_told_all_at_once() -> None:
    pictured = TemplateShape(HeaderKind.IMAGE, buttons=(REPLY, LINK, FIXED))
    assert fields(pictured, parameters=("a",)) == ["parameters", "header_media", "button_parameters[1]"]
    assert fields(pictured, header_media=PICTURE, button_parameters=((1, "x"),)) == []
    assert fields(
        pictured, header_media=FILM, header_parameter="x", button_parameters=((0, "x"), (2, "y"))
    ) == [
        "header_media",
        "header_parameter",
        "button_parameters[0]",
        "button_parameters[1]",
        "button_parameters[2]",
    ]
    assert fields(
        TemplateShape(), header_media=PICTURE, header_parameter="x", button_parameters=((4, "x"),)
    ) == [
        "header_media",
        "header_parameter",
        "button_parameters[4]",
    ]
    assert fields(HEADED) == ["header_parameter"]
    assert fields(HEADED, header_parameter="x") == []
    assert fields(TemplateShape(HeaderKind.TEXT), header_parameter="x") == ["header_parameter"]


@pytest.mark.rule("C-10d")
def test_what_nobody_can_fill_in_is_told_of_the_template() -> None:
    assert fields(TemplateShape(HeaderKind.OTHER)) == ["template_id"]
    assert fields(TemplateShape(buttons=(CODE,))) == ["template_id"]


def test_of_a_template_that_was_not_synchronised_header_and_buttons_are_not_known() -> None:
    assert fields(None, header_media=PICTURE, header_parameter="x", button_parameters=((0, "x"),)) == []


@pytest.mark.rule("J-11b", "J-30b")
def test_a_node_is_told_by_the_paths_of_its_own_fields() -> None:
    shape = TemplateShape(HeaderKind.DOCUMENT, buttons=(LINK,))
    media = HeaderMedia(HeaderKind.IMAGE, "http://shop.example/a.png", "a.png")
    content = TemplateContent(TEMPLATE, ("a", "b"), "x", header_media=media)
    known = Catalogue({}, {}, {}, {(TEAM, TEMPLATE): template(shape=shape)}, {}, {})
    reference = MessageReference(Channel.WHATSAPP, ACCOUNT, content)
    found = message_findings(TEAM, reference, known, SinkAdapter.writer, {})
    assert [fault.field for fault in found.faults] == [
        "template.header_media",
        "template.header_parameters",
        "template.button_parameters[0]",
        "template.header_media.image_url",
        "template.header_media.filename",
    ]


@pytest.mark.parametrize(
    ("media", "faulty"),
    [
        (HeaderMedia(HeaderKind.IMAGE, "http://shop.example/a.png"), ["image_url"]),
        (HeaderMedia(HeaderKind.IMAGE, "https://shop.example/" + "a" * 1_980), ["image_url"]),
        (HeaderMedia(HeaderKind.VIDEO, "https://[::1/a.mp4"), ["video_url"]),
        (HeaderMedia(HeaderKind.DOCUMENT, "https://{{attribute.host}}/a.pdf"), ["document_url"]),
        (HeaderMedia(HeaderKind.VIDEO, "https://shop.example/a.mp4", "a.mp4"), ["filename"]),
        (HeaderMedia(HeaderKind.DOCUMENT, "https://shop.example/{{trigger.order}}.pdf", "Order.pdf"), []),
    ],
)
def test_an_address_in_a_header_is_one(media: HeaderMedia, faulty: list[str]) -> None:
    assert [field for field, _ in media_faults(media)] == faulty


def test_values_in_an_address_cannot_lead_elsewhere() -> None:
    media = HeaderMedia(
        HeaderKind.DOCUMENT, "https://shop.example/{{trigger.order}}", "{{trigger.order}}.pdf"
    )
    filled = filled_media(media, lambda _: "../a b?c")
    assert filled.url == "https://shop.example/..%2Fa%20b%3Fc"
    assert filled.filename == "../a b?c.pdf"


@pytest.mark.rule("C-01c", "J-30b")
def test_header_and_buttons_are_written_as_whatsapp_takes_them() -> None:
    def written(shape: TemplateShape, **content: Any) -> list[Any]:
        filling = TemplateContent(TEMPLATE, ("a", "b"), **content)
        (part,) = WhatsappWriter().write_template(send(), "4470", template(shape=shape), filling)
        components: list[Any] = msgspec.json.decode(part)["template"]["components"]
        return components

    document = HeaderMedia(HeaderKind.DOCUMENT, "https://shop.example/a.pdf", "Order.pdf")
    for media, parameter in (
        (PICTURE, {"type": "image", "image": {"link": PICTURE.url}}),
        (FILM, {"type": "video", "video": {"link": FILM.url}}),
        (document, {"type": "document", "document": {"link": document.url, "filename": "Order.pdf"}}),
    ):
        header, _ = written(TemplateShape(media.kind), header_media=media)
        assert header == {"type": "header", "parameters": [parameter]}
    named = TemplateShape(HeaderKind.TEXT, 1, "what")
    header, _ = written(named, header_parameter="sale")
    assert header["parameters"] == [{"type": "text", "text": "sale", "parameter_name": "what"}]


@pytest.mark.parametrize(
    ("text", "value", "filled"),
    [
        ("spring sale", "", "spring%20sale"),
        (" a\u3000b ", "", "a%E3%80%80b"),
        ("q?x=1&y=%20", "", "q?x=1&y=%20"),
        ("{{trigger.order}}", "A 7/b?c=d&e", "A%207/b?c=d&e"),
        ("{{trigger.order}}", "https://shop.example/a?b=c", "https://shop.example/a?b=c"),
        ("orders/{{trigger.order}}", "A/7&b#c", "orders/A%2F7%26b%23c"),
        ("{{trigger.order|no order}}", "", "no%20order"),
        ("{{trigger.order}}", "   ", ""),
        ("訂單", "", "%E8%A8%82%E5%96%AE"),
    ],
)
def test_the_end_of_a_links_address_holds_what_an_address_holds(text: str, value: str, filled: str) -> None:
    assert filled_suffix(text, lambda _: value) == filled


@pytest.mark.rule("C-10d", "C-10e")
def test_a_headers_address_leaves_as_rfc_3986_has_it_however_it_was_pasted() -> None:
    pasted = HeaderMedia(HeaderKind.IMAGE, " HTTPS://shop.example/茶 {{customer.name}}.jpg", "")
    assert list(media_faults(pasted)) == []
    assert filled_media(pasted, lambda _: "Mei").url == "https://shop.example/%E8%8C%B6%20Mei.jpg"
    elsewhere = HeaderMedia(HeaderKind.IMAGE, " HTTPS://{{customer.name}}.example/a.jpg")
    assert [field for field, _ in media_faults(elsewhere)] == ["image_url"]
