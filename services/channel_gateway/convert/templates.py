"""Proto ⇄ domain for templates and what fills them. Pure; collects every fault of a request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

from libs.common.errors import FieldViolation
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from libs.common.template_texts import body_faults, header_faults, parameter_faults
from libs.common.template_texts import media_faults as media_text_faults
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2
from omnijourney.internal.v1 import send_pb2
from services.channel_gateway.domain.content import (
    BUTTONS_MAX,
    PARAMETERS_MAX,
    HeaderKind,
    HeaderMedia,
    Template,
    TemplateButton,
    TemplateButtonKind,
    TemplateContent,
    TemplateShape,
)
from services.channel_gateway.domain.template_shapes import (
    FILENAME_MAX,
    MEDIA_FIELDS,
    MEDIA_URL_MAX,
    media_faults,
    shape_faults,
)

PARAMETER_LENGTH_MAX: Final = 2_000
_TEMPLATE_NAME: Final = re.compile(r"[a-z0-9_]{1,512}", re.ASCII)
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2,4})?", re.ASCII)
_CATEGORIES: Final = ("", "MARKETING", "UTILITY", "AUTHENTICATION")
_MEDIA_KINDS: Final = {field: kind for kind, field in MEDIA_FIELDS.items()}

Filling = send_pb2.TemplateContent | pb.SendTestMessageRequest | pb.PreviewMessageTemplateRequest
"""Messages with what fills a template, in fields of the same names."""


def check_template(check: FieldCheck, path: str, message: content_pb2.MessageTemplate) -> UUID:
    """Checks a template as given; returns its account."""
    if not _TEMPLATE_NAME.fullmatch(message.name):
        check.fault(f"{path}.name", "must be lower case letters, digits and underscores, 1 to 512")
    if not _LANGUAGE.fullmatch(message.language):
        check.fault(f"{path}.language", "must be a language code such as en or zh_TW")
    if message.category not in _CATEGORIES:
        check.fault(f"{path}.category", "must be MARKETING, UTILITY or AUTHENTICATION")
    parameters_of(check, path, message)
    return check.uuid(f"{path}.account_id", message.account_id)


def parameters_of(
    check: FieldCheck, path: str, message: content_pb2.MessageTemplate
) -> tuple[tuple[str, ...], int]:
    """Names and count of a template's parameters; names alone say the count, too."""
    names = tuple(message.parameter_names)
    count = message.parameter_count or len(names)
    check.whole(f"{path}.parameter_count", count, least=0, most=100)
    if names and len(names) != count:
        check.fault(f"{path}.parameter_names", f"names {len(names)} parameters, the count is {count}")
    return names, count


def template_message(template: Template) -> content_pb2.MessageTemplate:
    """A template."""
    return content_pb2.MessageTemplate(
        message_template_id=str(template.template_id),
        team_id=str(template.team_id),
        account_id=str(template.account_id),
        name=template.name,
        language=template.language,
        state=int(template.state),  # type: ignore[arg-type]  # the enums have the same numbers
        category=template.category,
        parameter_names=template.parameter_names,
        parameter_count=template.parameter_count,
        shape=None if template.shape is None else _shape_message(template.shape),
        rejected_reason=template.rejected_reason,
        create_time=timestamp(template.created_at),
        update_time=timestamp(template.updated_at),
        etag=str(template.version),
    )


def shape_of(check: FieldCheck, path: str, message: content_pb2.MessageTemplate) -> TemplateShape | None:
    """The shape of a template as given, where one is; faults of fields below `path`."""
    if not message.HasField("shape"):
        return None
    shape = message.shape
    header = HeaderKind(shape.header)
    if header is not HeaderKind.TEXT and (shape.header_parameter_count or shape.header_parameter_name):
        check.fault(f"{path}.shape.header_parameter_count", "is possible for a header that is a text only")
    if bool(shape.header_parameter_name) > shape.header_parameter_count:
        check.fault(f"{path}.shape.header_parameter_count", "must be 1: the parameter has a name")
    return TemplateShape(
        header,
        shape.header_parameter_count,
        check.text(
            f"{path}.shape.header_parameter_name", shape.header_parameter_name, length_max=512, length_min=0
        ),
        tuple(
            TemplateButton(
                TemplateButtonKind(each.kind or TemplateButtonKind.OTHER),
                check.text(f"{path}.shape.buttons[{index}].label", each.label, length_max=100, length_min=0),
                each.takes_parameter,
            )
            for index, each in enumerate(shape.buttons)
        ),
    )


def _shape_message(shape: TemplateShape) -> content_pb2.TemplateShape:
    return content_pb2.TemplateShape(
        header=content_pb2.TemplateHeader.ValueType(shape.header),
        header_parameter_count=shape.header_parameter_count,
        header_parameter_name=shape.header_parameter_name,
        buttons=[
            content_pb2.TemplateButton(
                kind=content_pb2.TemplateButtonKind.ValueType(each.kind),
                label=each.label,
                takes_parameter=each.takes_parameter,
            )
            for each in shape.buttons
        ],
    )


def template_content_of(
    check: FieldCheck,
    path: str,
    id_field: str,
    template_id: str,
    message: Filling,
) -> TemplateContent:
    """A template and what fills it; its fields are below `path`."""
    parameters = tuple(message.parameters)
    check.count(f"{path}parameters", parameters, most=PARAMETERS_MAX)
    if any(len(text) > PARAMETER_LENGTH_MAX for text in parameters):
        for index, text in enumerate(parameters):
            field = f"{path}parameters[{index}]"
            check.text(field, text, length_max=PARAMETER_LENGTH_MAX, length_min=0)
    header = message.header_parameter
    return TemplateContent(
        check.uuid(f"{path}{id_field}", template_id),
        parameters,
        check.text(f"{path}header_parameter", header, length_max=PARAMETER_LENGTH_MAX, length_min=0),
        _buttons_of(check, path, message.button_parameters),
        media_of(check, f"{path}header_media", message.header_media)
        if message.HasField("header_media")
        else None,
    )


def _buttons_of(check: FieldCheck, path: str, sent: Mapping[int, str]) -> tuple[tuple[int, str], ...]:
    for index, text in sent.items():
        field = f"{path}button_parameters[{index}]"
        check.whole(field, index, least=0, most=BUTTONS_MAX - 1)
        check.text(field, text, length_max=PARAMETER_LENGTH_MAX)
    return tuple(sorted(sent.items()))


def media_of(check: FieldCheck, path: str, message: content_pb2.TemplateMedia) -> HeaderMedia | None:
    """What stands in a header."""
    field = message.WhichOneof("source")
    if field is None:
        check.fault(path, f"says nothing: give one of {', '.join(_MEDIA_KINDS)}")
        return None
    url = check.text(f"{path}.{field}", getattr(message, field), length_max=MEDIA_URL_MAX, length_min=0)
    name = check.text(f"{path}.filename", message.filename, length_max=FILENAME_MAX, length_min=0)
    media = HeaderMedia(_MEDIA_KINDS[field], url, name)
    for below, fault in media_faults(media):
        check.fault(f"{path}.{below}", fault)
    return media


def note_misfits(check: FieldCheck, template: Template, content: TemplateContent) -> None:
    """Notes what is missing or too much for a template, and what WhatsApp takes in none, by the fields of the request
    that brings it: the same that keeps a journey from being published."""
    for violation in _text_faults(content):
        check.fault(violation.field, violation.description)
    for field, message in shape_faults(template, content):
        check.fault("message_template_id" if field == "template_id" else field, message)


def _text_faults(content: TemplateContent) -> Iterator[FieldViolation]:
    yield from body_faults("parameters", content.parameters)
    if content.header_parameter:
        yield from header_faults("header_parameter", content.header_parameter)
    for index, text in content.button_parameters:
        yield from parameter_faults(f"button_parameters[{index}]", text)
    if content.header_media is not None:
        media = content.header_media
        yield from media_text_faults(f"header_media.{MEDIA_FIELDS[media.kind]}", media.url)
        yield from media_text_faults("header_media.filename", media.filename)
