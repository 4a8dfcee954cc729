"""What the WhatsApp emulator refuses, by error code."""

from typing import Any

import pytest

from libs.emulators.meta_errors import MetaError
from libs.emulators.whatsapp_rules import check_message
from libs.emulators.whatsapp_templates import Template, check_send, parse_template

TO = "+447000017850"


def message(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": TO, "type": kind, kind: content, **more}


def template(body: str = "Hi {{1}}, you have {{2}} points.", **more: Any) -> Template:
    components = [{"type": "BODY", "text": body}]
    definition = {"name": "welcome", "language": "en", "category": "MARKETING", "components": components}
    return parse_template("1", "2", {**definition, "status": "APPROVED", **more})


def send(*texts: str, **more: Any) -> dict[str, Any]:
    parameters = [{"type": "text", "text": one} for one in texts]
    components = [{"type": "body", "parameters": parameters}] if texts else []
    return {"name": "welcome", "language": {"code": "en"}, "components": components, **more}


def test_a_recipient_is_known_by_its_digits() -> None:
    assert check_message(message("text", {"body": "hi"})) == "447000017850"
    body = {**message("text", {"body": "hi"}), "recipient": "US.13491208655302741918"}
    del body["to"]
    assert check_message(body) == "US.13491208655302741918"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], 100),
        ({"to": TO, "type": "text", "text": {"body": "x"}}, 100),
        ({"messaging_product": "whatsapp", "type": "text", "text": {"body": "x"}}, 131008),
        ({**message("text", {"body": "x"}), "to": "tomorrow"}, 131009),
        (message("text", {"body": ""}), 131008),
        (message("text", {"body": "x" * 4097}), 100),
        (message("text", "x"), 131008),
        (message("dance", {}), 131051),
        (message("image", {}), 131008),
        (message("image", {"link": "here"}), 131009),
        (message("template", {"name": "welcome"}), 131008),
        (message("text", {"body": "x"}, biz_opaque_callback_data="x" * 513), 100),
        (
            message("interactive", {"type": "button", "body": {"text": "x"}, "action": {"buttons": []}}),
            131009,
        ),
        (message("interactive", {"type": "button", "action": {"buttons": []}}), 131008),
        (message("interactive", {"type": "waltz", "body": {"text": "x"}, "action": {}}), 131009),
    ],
)
def test_refuses_with_the_code_of_the_fault(body: Any, code: int) -> None:
    with pytest.raises(MetaError) as caught:
        check_message(body)
    assert caught.value.code == code


def test_takes_the_interactive_kinds() -> None:
    button = {"type": "reply", "reply": {"id": "yes", "title": "Yes"}}
    link = {"name": "cta_url", "parameters": {"display_text": "Shop", "url": "https://shop.example"}}
    rows = {"button": "Choose", "sections": [{"rows": [{"id": "1", "title": "One"}]}]}
    for kind, action in (("button", {"buttons": [button]}), ("cta_url", link), ("list", rows)):
        content = {"type": kind, "body": {"text": "Well?"}, "action": action}
        assert check_message(message("interactive", content)) == "447000017850"


def test_a_template_takes_exactly_its_parameters() -> None:
    check_send(template(), send("Mei", "120"))
    for wrong in (send(), send("Mei"), send("Mei", "120", "3")):
        with pytest.raises(MetaError) as caught:
            check_send(template(), wrong)
        assert caught.value.code == 132000


@pytest.mark.parametrize(
    ("registered", "code"),
    [
        (None, 132001),
        (template(status="PENDING"), 132001),
        (template(status="PAUSED"), 132015),
        (template(status="DISABLED"), 132016),
    ],
)
def test_a_template_must_be_there_and_approved(registered: Template | None, code: int) -> None:
    with pytest.raises(MetaError) as caught:
        check_send(registered, send("Mei", "120"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        ({"type": "text"}, 132012),
        ({"type": "text", "text": ""}, 100),
        ({"type": "text", "text": "two\nlines"}, 100),
        ({"type": "text", "text": "x" * 1024}, 132005),
    ],
)
def test_a_parameter_must_be_of_the_right_form(parameter: Any, code: int) -> None:
    components = [{"type": "body", "parameters": [parameter, {"type": "text", "text": "1"}]}]
    with pytest.raises(MetaError) as caught:
        check_send(template(), send(components=components))
    assert caught.value.code == code


def test_named_parameters_are_matched_by_name() -> None:
    named = template("Hi {{name}}, {{points}} points.", parameter_format="NAMED")
    given = [
        {"type": "text", "parameter_name": "points", "text": "3"},
        {"type": "text", "parameter_name": "name", "text": "Mei"},
    ]
    check_send(named, send(components=[{"type": "body", "parameters": given}]))
    given[1]["parameter_name"] = "points"
    with pytest.raises(MetaError) as caught:
        check_send(named, send(components=[{"type": "body", "parameters": given}]))
    assert caught.value.code == 132012


@pytest.mark.parametrize(
    "more",
    [
        {"name": "Welcome!"},
        {"language": ""},
        {"category": "GREETING"},
        {"components": []},
        {"components": [{"type": "BODY", "text": "{{1}} begins"}]},
        {"components": [{"type": "BODY", "text": "skips {{2}} one."}]},
        {"components": [{"type": "BODY", "text": "x" * 1025}]},
    ],
)
def test_a_faulty_definition_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(MetaError) as caught:
        template(**more)
    assert caught.value.code == 100


def headed(form: str, *buttons: dict[str, Any]) -> Template:
    """A template with a header of that format."""
    header = {"type": "header", "format": form.lower(), **({"text": "On {{1}}"} if form == "TEXT" else {})}
    body = {"type": "body", "text": "Hi"}
    return template(components=[header, body, {"type": "buttons", "buttons": list(buttons)}])


def code_for(registered: Template, *components: dict[str, Any]) -> int:
    """The error that a send with these components meets; 0 for none."""
    try:
        check_message(message("template", data := send(components=list(components))))
        check_send(registered, data)
    except MetaError as refused:
        return refused.code
    return 0


def file(kind: str, **of: Any) -> dict[str, Any]:
    """A header with a file; kinds of components are taken in capitals, too."""
    return {"type": "HEADER", "parameters": [{"type": kind, kind: of or {"link": "https://shop.example/a"}}]}


@pytest.mark.rule("C-01b")
@pytest.mark.parametrize("form", ["IMAGE", "VIDEO", "DOCUMENT"])
def test_a_file_in_a_header_is_of_the_templates_kind(form: str) -> None:
    registered = headed(form)
    assert code_for(registered, file(form.lower())) == 0
    other = "image" if form != "IMAGE" else "video"
    text = {"type": "header", "parameters": [{"type": "text", "text": "x"}]}
    assert [code_for(registered), code_for(registered, file(other)), code_for(registered, text)] == [
        132012
    ] * 3
    assert code_for(registered, file(form.lower(), link="no address")) == 131009
    assert code_for(registered, file(form.lower(), id="")) == 131008
    assert code_for(headed("TEXT"), file(form.lower())) == 132012


@pytest.mark.rule("C-01b")
def test_a_button_takes_what_its_address_needs() -> None:
    fixed = {"type": "url", "text": "Shop", "url": "https://shop.example"}
    link = {**fixed, "url": "https://shop.example/{{1}}"}
    given = {"type": "BUTTON", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "a"}]}
    picture = file("image")
    assert code_for(headed("IMAGE", link), picture, given) == 0
    assert code_for(headed("IMAGE", link), picture) == 131008
    assert code_for(headed("IMAGE", fixed), picture, given) == 132000
    assert code_for(headed("IMAGE"), picture, given) == 132000


def test_kinds_are_given_in_capitals_however_they_were_written() -> None:
    header, body, buttons = headed("IMAGE", {"type": "quick_reply", "text": "Yes"}).to_json()["components"]
    assert (header["type"], header["format"], body["type"]) == ("HEADER", "IMAGE", "BODY")
    assert buttons["buttons"] == [{"type": "QUICK_REPLY", "text": "Yes"}]
