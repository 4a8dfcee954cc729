"""Whether what a send brings is what its template takes, and what it looks like filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

import msgspec

from libs.common.text import trimmed
from libs.common.text_variables import Variable, fill, parts_of
from services.channel_gateway.domain.addresses import has_host, plain_address
from services.channel_gateway.domain.content import (
    HeaderKind,
    HeaderMedia,
    Template,
    TemplateButton,
    TemplateContent,
    TemplateShape,
)

MEDIA_URL_MAX: Final = 2_000
"""Characters of an address that WhatsApp fetches from."""
FILENAME_MAX: Final = 240
_OF_AN_ADDRESS: Final = "%:/?#[]@!$&'()*+,;="
"""What an address may hold beside letters, digits and `-._~`."""
_SCHEME: Final = re.compile("https://", re.IGNORECASE)
MEDIA_FIELDS: Final = {
    HeaderKind.IMAGE: "image_url",
    HeaderKind.VIDEO: "video_url",
    HeaderKind.DOCUMENT: "document_url",
}
"""Where the contract has the address of what stands in a header."""


def shape_faults(template: Template, content: TemplateContent) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) of everything that is missing or too much; fields as `internal.v1.TemplateContent` has
    them. Of a template whose shape is not known, the body's parameters alone are looked at: it is sent with what is
    given, and what WhatsApp has against that brings the shape."""
    if len(content.parameters) != template.parameter_count:
        yield (
            "parameters",
            f"has {len(content.parameters)} parameters, the template takes {template.parameter_count}",
        )
    if template.shape is not None:
        yield from _header_faults(template.shape, content)
        yield from _button_faults(template.shape.buttons, content)
    elif content.header_parameter and template.parameter_names:
        yield (
            "header_parameter",
            "the template's parameters have names, and that of its header's is not known: synchronise it",
        )


def _header_faults(shape: TemplateShape, content: TemplateContent) -> Iterator[tuple[str, str]]:
    if shape.header is HeaderKind.OTHER:
        yield "template_id", "the template's header is of a kind that nothing here can fill in"
        return
    takes_media = shape.header in MEDIA_FIELDS
    media = content.header_media
    name = shape.header.name.lower()
    if takes_media and media is None:
        yield (
            "header_media",
            f"is required: the template's header is a {name}, give {MEDIA_FIELDS[shape.header]}",
        )
    elif takes_media and media is not None and media.kind is not shape.header:
        yield "header_media", f"is a {media.kind.name.lower()}, the template's header is a {name}"
    elif media is not None and not takes_media:
        yield "header_media", "the template's header takes none: leave it out"
    takes_text = shape.header is HeaderKind.TEXT and shape.header_parameter_count > 0
    if takes_text and not content.header_parameter:
        yield "header_parameter", "is required: the text of the template's header has a variable"
    elif content.header_parameter and not takes_text:
        yield "header_parameter", "the template's header takes none: leave it out"


def _button_faults(
    buttons: tuple[TemplateButton, ...], content: TemplateContent
) -> Iterator[tuple[str, str]]:
    given = dict(content.button_parameters)
    for index, button in enumerate(buttons):
        field = f"button_parameters[{index}]"
        if button.takes_parameter and not button.is_link:
            yield "template_id", f"button {index} is of a kind that nothing here can fill in"
        elif button.takes_parameter and index not in given:
            yield field, "is required: the address of the template's button ends in a variable"
        elif index in given and not button.takes_parameter:
            yield field, "the template's button takes none: leave it empty"
    for index in given:
        if index >= len(buttons):
            yield f"button_parameters[{index}]", f"the template has {len(buttons)} buttons"


def media_faults(media: HeaderMedia) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) of what stands in a header, by itself; variables count as one character."""
    field = MEDIA_FIELDS[media.kind]
    if not is_address(plain_address(fill(media.url, lambda _: "x"))):
        yield field, f"must be an address https://… of at most {MEDIA_URL_MAX} characters"
    elif "{{" in _host_of(media.url):
        yield field, "may hold variables behind the host only: https://shop.example/{{trigger.order}}.pdf"
    if media.filename and media.kind is not HeaderKind.DOCUMENT:
        yield "filename", "is possible for documents only"


def is_address(text: str) -> bool:
    """Whether WhatsApp may be asked to fetch from there."""
    printable = text.isprintable() and " " not in text
    return has_host(text, ("https",)) and printable and len(text) <= MEDIA_URL_MAX


def filled_suffix(text: str, value_of: Callable[[str], str]) -> str:
    """The end of a link's address with the values of a customer, as an address holds it: what it does not, blanks for
    example, is percent-encoded. A value that stands alone may be a whole address, or several parts of one; one within
    other text is a part."""
    parts = parts_of(text)
    alone = len(parts) == 1 and isinstance(parts[0], Variable)
    whole = fill(text, value_of if alone else lambda name: quote(value_of(name), safe=""))
    return quote(whole.strip(), safe=_OF_AN_ADDRESS)


def _host_of(url: str) -> str:
    return _SCHEME.sub("", trimmed(url)).partition("/")[0]


def filled_media(media: HeaderMedia, value_of: Callable[[str], str]) -> HeaderMedia:
    """With the values of a customer, percent-encoded in its address."""
    return msgspec.structs.replace(
        media,
        url=plain_address(fill(media.url, lambda name: quote(value_of(name), safe=""))),
        filename=fill(media.filename, value_of),
    )
