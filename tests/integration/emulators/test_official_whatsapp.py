"""What our adapter asks and the emulator answers, held to the OpenAPI file of the WhatsApp Cloud API; what that forbids
is refused."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from libs.emulators.config import EmulatorSettings
from libs.emulators.meta_errors import ERRORS
from libs.emulators.server import Running, running
from services.channel_gateway.clients.channels.base import Verdict
from services.channel_gateway.clients.channels.transport import Transport
from services.channel_gateway.clients.channels.whatsapp import WhatsappAdapter
from services.channel_gateway.domain.content import HeaderKind, HeaderMedia, TemplateContent, TemplateShape
from services.channel_gateway.domain.model import Channel, Connection, ConnectionKind
from tests.integration.emulators.agreement import CARDS, disagreements, mutants, operations_of
from tests.integration.emulators.conftest import Exchange, answer_of, heard_by
from tests.integration.emulators.contracts import Contract, whatsapp_contract
from tests.unit.channel_gateway.build import TEMPLATE, account, job, send, template

pytestmark = pytest.mark.rule("C-01c")

WA_ID, NUMBER, WABA = "447000017850", "100000000000001", "200000000000001"
ACCOUNT: Final = account(
    Channel.WHATSAPP, connection=Connection(ConnectionKind.WHATSAPP, NUMBER, WABA, access_token="secret")
)
MESSAGES: Final = f"/v25.0/{NUMBER}/messages"
SENDS: Final = "/{Version}/{Phone-Number-ID}/messages"
LISTED: Final = "/{Version}/{WABA-ID}/message_templates"
PATHS: Final = {
    "/{version}/{owner}/messages": SENDS,
    "/{version}/{owner}/message_templates": LISTED,
    "/{version}/{owner}": "/{Version}/{Phone-Number-ID}",
}
"""The file's own paths, by the emulator's."""
TEXTS: Final = ("Mei", "120")
BODY: Final = {"type": "BODY", "text": "Hi {{1}}, you have {{2}} points."}
NAMED: Final = {"type": "BODY", "text": "Hi {{who}}, you have {{points}} points."}
BUTTON: Final = {"type": "URL", "text": "Shop", "url": "https://example.com/{{1}}"}
HEADER: Final = {"type": "HEADER", "format": "TEXT", "text": "On {{1}}"}
TEMPLATES: Final[dict[str, tuple[Any, TemplateContent, list[dict[str, Any]]]]] = {
    "positions": (template(name="positions"), TemplateContent(TEMPLATE, TEXTS), [BODY]),
    "names": (
        template(name="names", parameter_names=("who", "points")),
        TemplateContent(TEMPLATE, TEXTS),
        [NAMED],
    ),
    "all": (
        template(name="all"),
        TemplateContent(TEMPLATE, TEXTS, "sale", ((0, "abc"),)),
        [HEADER, BODY, {"type": "BUTTONS", "buttons": [BUTTON]}],
    ),
    "picture": (
        template(name="picture"),
        TemplateContent(
            TEMPLATE, TEXTS, header_media=HeaderMedia(HeaderKind.IMAGE, "https://example.com/a.png")
        ),
        [{"type": "HEADER", "format": "IMAGE"}, BODY],
    ),
    "video": (
        template(name="video"),
        TemplateContent(
            TEMPLATE, TEXTS, header_media=HeaderMedia(HeaderKind.VIDEO, "https://example.com/a.mp4")
        ),
        [{"type": "HEADER", "format": "VIDEO"}, BODY],
    ),
    "document": (
        template(name="document"),
        TemplateContent(
            TEMPLATE,
            TEXTS,
            header_media=HeaderMedia(HeaderKind.DOCUMENT, "https://example.com/a.pdf", "Order.pdf"),
        ),
        [{"type": "HEADER", "format": "DOCUMENT"}, BODY],
    ),
    "named header": (
        template(
            name="named_header",
            parameter_names=("who", "points"),
            shape=TemplateShape(HeaderKind.TEXT, 1, "what"),
        ),
        TemplateContent(TEMPLATE, TEXTS, "sale"),
        [{"type": "HEADER", "format": "TEXT", "text": "On {{what}}"}, NAMED],
    ),
    "nothing": (
        template(name="nothing", parameter_count=0),
        TemplateContent(TEMPLATE),
        [{"type": "BODY", "text": "Hi"}],
    ),
}


def message(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    """A send."""
    head = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": f"+{WA_ID}"}
    return {**head, "type": kind, kind: content, **more}


def interactive(kind: str, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A message with something to press."""
    return message("interactive", {"type": kind, "body": {"text": "Which?"}, "action": action, **more})


PICTURE: Final = {"link": "https://example.com/a.png", "caption": "a"}
REPLIES: Final = {"buttons": [{"type": "reply", "reply": {"id": "a", "title": "A"}}]}
ROWS: Final = [{"title": "S", "rows": [{"id": "a", "title": "A", "description": "first"}]}]
URL: Final = {"name": "cta_url", "parameters": {"display_text": "Shop", "url": "https://example.com"}}
PARAMETERS: Final = [{"type": "text", "text": text} for text in TEXTS]
COMPONENTS: Final = [
    {"type": "header", "parameters": [{"type": "text", "text": "sale"}]},
    {"type": "body", "parameters": PARAMETERS},
    {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "abc"}]},
]
SENDS_TRIED: Final[dict[str, dict[str, Any]]] = {
    "text": message("text", {"body": "hi", "preview_url": True}, biz_opaque_callback_data="snd_1"),
    "answer": message("text", {"body": "hi"}, context={"message_id": "wamid.1"}),
    "picture": message("image", PICTURE),
    "answers": interactive(
        "button", REPLIES, header={"type": "image", "image": PICTURE}, footer={"text": "of one"}
    ),
    "link": interactive("cta_url", URL),
    "list": interactive("list", {"button": "Choose", "sections": ROWS}),
    "template": message("template", {"name": "all", "language": {"code": "en"}, "components": COMPONENTS}),
}


@pytest.fixture(scope="module")
def contract(reference_data: Path) -> Contract:
    """WhatsApp's calls."""
    return whatsapp_contract(reference_data / "channels")


@pytest.fixture
def emulator_settings(emulator_settings: EmulatorSettings) -> EmulatorSettings:
    """No rate stands in the way."""
    return emulator_settings.model_copy(update={"whatsapp_rate": 100_000.0})


@pytest.fixture
async def url(
    exchanges: list[Exchange],
    emulator_settings: EmulatorSettings,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[str]:
    """An emulator with templates, to whose number somebody has written just now."""
    monkeypatch.setattr("libs.emulators.whatsapp.PAIR_DEPTH", 100_000.0)
    async with running(emulator_settings, ("whatsapp",)) as started:
        base = started.urls["whatsapp"]
        await answer_of(http.post(f"{base}/_emulator/inbound", json={"wa_id": WA_ID}))
        for made, _, components in TEMPLATES.values():
            definition = {"name": made.name, "language": "en", "components": components}
            named = {"parameter_format": "NAMED"} if made.parameter_names else {}
            await answer_of(http.post(f"{base}/_emulator/templates", json=definition | named))
        yield base


def path_of(exchange: Exchange) -> str:
    """The file's own path."""
    return PATHS[exchange.route]


async def drive(adapter: WhatsappAdapter) -> list[Verdict]:
    """Every call of the adapter, every kind of card and of template."""
    parts = [adapter.writer.write_cards(send(), WA_ID, cards) for cards in CARDS.values()]
    parts += [adapter.writer.write_template(send(), WA_ID, *made[:2]) for made in TEMPLATES.values()]
    verdicts = []
    for each in parts:
        made = job(effect_key=uuid.uuid4(), recipient=WA_ID, parts=each)
        verdicts += [(await adapter.send(ACCOUNT, made, number)).verdict for number in range(len(each))]
    names = {made.name for made, _, _ in TEMPLATES.values()}
    assert {listed.name for listed in await adapter.templates(ACCOUNT)} == names
    assert await adapter.parts_of(ACCOUNT, TEMPLATES["all"][0])
    assert (await adapter.check(ACCOUNT))[0]
    absent = adapter.writer.write_template(
        send(), WA_ID, template(name="gone"), TemplateContent(TEMPLATE, TEXTS)
    )
    await adapter.send(ACCOUNT, job(parts=absent), 0)
    return verdicts


async def test_what_the_adapter_asks_and_hears_is_as_the_file_says(
    exchanges: list[Exchange], url: str, contract: Contract
) -> None:
    async with Transport() as transport:
        assert set(await drive(WhatsappAdapter(transport, url))) == {Verdict.SENT}
    asked = {f"{each.method} {path_of(each)}" for each in exchanges}
    assert asked == {f"post {SENDS}", f"get {LISTED}", "get /{Version}/{Phone-Number-ID}"}
    assert disagreements(exchanges, contract, path_of, "GraphAPIError") == {}


async def test_every_refusal_is_as_the_file_says(
    exchanges: list[Exchange], url: str, http: aiohttp.ClientSession, contract: Contract
) -> None:
    faults: list[dict[str, Any]] = [{"kind": "code", "code": code} for code in ERRORS]
    kinds = ("error_before", "error_after", "timeout_before", "timeout_after", "rate")
    faults += [{"kind": kind, "seconds": 0.01} for kind in kinds]
    for fault in faults:
        await answer_of(http.post(f"{url}/_emulator/faults", json=fault))
        assert (await answer_of(http.post(url + MESSAGES, json=SENDS_TRIED["text"])))[0] >= 400
    await answer_of(http.post(url + MESSAGES, data=b"{"))
    await answer_of(http.get(f"{url}/v25.0/{WABA}/message_templates", headers={"Authorization": "Bearer no"}))
    await answer_of(http.get(f"{url}/v25.0/5"))
    assert {each.answer["error"]["code"] for each in exchanges} == set(ERRORS)
    assert disagreements(exchanges, contract, path_of, "GraphAPIError") == {}


async def test_every_operation_that_the_emulator_has_is_one_of_the_file_and_valid_both_ways(
    exchanges: list[Exchange], url: str, emulators: Running, http: aiohttp.ClientSession, contract: Contract
) -> None:
    for name, body in SENDS_TRIED.items():
        assert (await answer_of(http.post(url + MESSAGES, json=body)))[0] == 200, name
    made = {"name": "made", "language": "en", "category": "MARKETING", "components": TEMPLATES["all"][2]}
    templates = f"{url}/v25.0/{WABA}/message_templates"
    assert (await answer_of(http.post(templates, json=made)))[0] == 200
    assert (await answer_of(http.get(templates, params={"name": "made"})))[0] == 200
    assert (await answer_of(http.delete(templates, params={"name": "made"})))[0] == 200
    assert (await answer_of(http.get(f"{url}/v25.0/{NUMBER}", params={"fields": "health_status"})))[0] == 200
    assert disagreements(exchanges, contract, path_of, "GraphAPIError") == {}
    assert {f"{each.method} {path_of(each)}" for each in exchanges} <= operations_of(contract)
    routes = {f"{each.method.lower()} {each.path}" for each in emulators.emulators["whatsapp"].routes()}
    assert {f"{each.method} {each.route}" for each in exchanges} == {
        each for each in routes if "/_emulator/" not in each
    }


UNTYPED: Final = ("text", "type", "missing"), ("answer", "type", "missing")
"""The file types messages by a field that some of its own examples of texts leave out, and the service does, too."""
UNBOUNDED: Final = frozenset({"context.message_id"})
"""Texts of which nobody says how long they may be."""


async def test_what_the_file_forbids_or_is_too_long_is_refused(
    url: str, http: aiohttp.ClientSession, contract: Contract
) -> None:
    taken = []
    for name, body in SENDS_TRIED.items():
        for mutant in mutants(body):
            status, answer = await answer_of(http.post(url + MESSAGES, json=mutant.body))
            assert status == 200 or answer["error"]["error_data"]["details"], answer
            if status != 200 or (name, mutant.place, mutant.change) in UNTYPED:
                continue
            faults = contract.request_faults("post", SENDS, mutant.body)
            taken += [(name, mutant.place, fault) for fault in faults]
            if mutant.change == "long" and mutant.place not in UNBOUNDED:
                taken.append((name, mutant.place, "too long"))
    assert taken == []


async def test_webhooks_are_as_the_file_says(
    url: str, http: aiohttp.ClientSession, reference_data: Path
) -> None:
    webhooks = whatsapp_contract(reference_data / "channels", closed=False)
    async with heard_by(http, url) as bodies:
        _, answer = await answer_of(http.post(url + MESSAGES, json=SENDS_TRIED["text"]))
        sent = answer["messages"][0]["id"]
        for status in ("read", "failed"):
            await answer_of(http.post(f"{url}/_emulator/statuses", json={"id": sent, "status": status}))
        button = {"id": "a", "title": "A"}
        for said in ({"text": "hi"}, {"button": button}, {"row": button}):
            await answer_of(http.post(f"{url}/_emulator/inbound", json={"wa_id": WA_ID, **said}))
        await answer_of(http.post(f"{url}/_emulator/webhooks/idle"))
    assert len(bodies) == 7
    found = {str(body): webhooks.request_faults("post", "/whatsapp/webhooks", body) for body in bodies}
    assert {body: faults for body, faults in found.items() if faults} == {}
