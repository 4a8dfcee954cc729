"""Message templates of WhatsApp: what WhatsApp says of them, how they look filled in, what uses them, and a test."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web

from libs.console.faults import Faults
from libs.console.forms import refusal, status_of, texts_of
from libs.console.journeys.node_forms import MEDIA_FIELDS, read_template
from libs.console.journeys.reading import Reader
from libs.console.languages import noted
from libs.console.pages.content_tests import send_test
from libs.console.pages.customers import CHOICES_MAX, id_of
from libs.console.partial import part
from libs.console.previews import chosen_sample, filling, samples_of, template_preview
from libs.console.used_by import journeys_using
from libs.console.visits import PAGE_SIZE, Visit
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1.content_pb2 import MessageTemplate, TemplateState
from omnijourney.client import CallError
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1.node_pb2 import TemplateContent

routes = web.RouteTableDef()


class State(NamedTuple):
    """How one is shown."""

    badge: str
    label: str
    means: str
    """What it is, and what to do, in a sentence."""


STATES: Final[Mapping[TemplateState.ValueType, State]] = {
    content_pb2.TEMPLATE_STATE_APPROVED: State("good", noted("Approved"), noted("It may be sent.")),
    content_pb2.TEMPLATE_STATE_PENDING: State(
        "planned", noted("In review"), noted("WhatsApp is still looking at it: it cannot be sent yet.")
    ),
    content_pb2.TEMPLATE_STATE_REJECTED: State(
        "bad",
        noted("Rejected"),
        noted("WhatsApp refused it. Change it in WhatsApp Manager, then synchronise."),
    ),
    content_pb2.TEMPLATE_STATE_PAUSED: State(
        "warn",
        noted("Paused"),
        noted(
            "WhatsApp paused it, since too many people blocked or reported it. It comes back by itself; until then"
            " it cannot be sent."
        ),
    ),
    content_pb2.TEMPLATE_STATE_DISABLED: State(
        "stopped",
        noted("Disabled"),
        noted(
            "WhatsApp has it no more, or switched it off for good. Put another one into the journeys that send it."
        ),
    ),
}


REJECTED: Final[Mapping[str, str]] = {
    "ABUSIVE_CONTENT": noted("Its content breaks WhatsApp's policies or reads as abusive."),
    "CATEGORY_NOT_AVAILABLE": noted("Its category is not open to this account."),
    "INCORRECT_CATEGORY": noted("Its content is of another category."),
    "INVALID_FORMAT": noted("Its variables or characters are not as WhatsApp wants them."),
    "PROMOTIONAL": noted("It advertises, which its category does not allow."),
    "SCAM": noted("It reads as a fraud."),
    "TAG_CONTENT_MISMATCH": noted("Its language or category does not fit its content."),
}
"""Why WhatsApp refuses a template, by its own names."""


def why_rejected(visit: Visit, template: MessageTemplate) -> str:
    """In words; by WhatsApp's name where it is none of these, empty where nothing is known."""
    reason = template.rejected_reason
    return visit.say(REJECTED[reason]) if reason in REJECTED else reason


@routes.get("/content/templates")
async def listing(request: web.Request) -> web.Response:
    """All of the team's, and the accounts that they can be read anew from."""
    visit = Visit.of(request)
    page, accounts = await asyncio.gather(
        visit.call(
            visit.client.channel_gateway.ListMessageTemplates,
            gateway.ListMessageTemplatesRequest(
                team_id=visit.team_id, page_size=PAGE_SIZE, page_token=request.query.get("page_token", "")
            ),
        ),
        part(visit, _accounts(visit)),
    )
    return visit.render(
        "content/templates.html",
        templates=page.templates,
        accounts=accounts.answer or [],
        states=STATES,
        why={each.message_template_id: why_rejected(visit, each) for each in page.templates},
        next_link=visit.page_link(page.next_page_token),
    )


@routes.post("/content/templates/sync")
async def sync(request: web.Request) -> web.Response:
    """Reads an account's templates anew from WhatsApp."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = gateway.SyncMessageTemplatesRequest(
        team_id=visit.team_id, request_id=given["request_id"], account_id=id_of(given.get("account", ""))
    )
    try:
        answer = await visit.call(visit.client.channel_gateway.SyncMessageTemplates, asked)
    except CallError as error:
        faults = refusal(visit, error, {})
        visit.session.note("fault", f"{faults.get('')} {faults.detail}".strip())
        return visit.go("/content/templates")
    return visit.go(
        "/content/templates",
        noted("Read from WhatsApp: %(added)s new, %(changed)s changed, %(gone)s gone."),
        added=answer.added,
        changed=answer.changed,
        gone=answer.gone,
    )


@routes.get("/content/templates/{template_id}")
async def shown(request: web.Request) -> web.Response:
    """One: its state, how it looks filled in, and what uses it."""
    visit = Visit.of(request)
    return await _show_page(visit, await _read(visit))


@routes.post("/content/templates/{template_id}")
async def tried(request: web.Request) -> web.Response:
    """Shows it filled in as the form says, or sends it to one customer, marked as a test."""
    visit = Visit.of(request)
    template, given = await _read(visit), await texts_of(visit)
    content = read_template(Reader(await visit.form(), visit.say), template, None)
    if given.get("do") != "test":
        return await _show_page(visit, template, content=content, given=given)
    tested = await send_test(
        visit,
        {**given, "account": template.account_id},
        message_template_id=template.message_template_id,
        **filling(content),
    )
    if tested.faults:
        return await _show_page(
            visit, template, content=content, given=given, faults=tested.faults, status=tested.status
        )
    return tested.shown(visit, visit.request.path)


@routes.post("/content/templates/{template_id}/delete")
async def delete(request: web.Request) -> web.Response:
    """Deletes it here; while journeys send it only where that was said."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    asked = gateway.DeleteMessageTemplateRequest(
        team_id=visit.team_id,
        request_id=given["request_id"],
        message_template_id=id_of(request.match_info["template_id"]),
        unless_used=given.get("force") != "1",
    )
    try:
        await visit.call(visit.client.channel_gateway.DeleteMessageTemplate, asked)
    except CallError as error:
        faults = refusal(visit, error, {})
        return await _show_page(visit, await _read(visit), status=status_of(error), faults=faults)
    return visit.go("/content/templates", noted("The template is deleted here; WhatsApp keeps it."))


async def _read(visit: Visit) -> MessageTemplate:
    asked = gateway.GetMessageTemplateRequest(
        team_id=visit.team_id, message_template_id=id_of(visit.request.match_info["template_id"])
    )
    found: MessageTemplate = (
        await visit.call(visit.client.channel_gateway.GetMessageTemplate, asked)
    ).template
    return found


async def _accounts(visit: Visit) -> list[account_pb2.ChannelAccount]:
    asked = gateway.ListChannelAccountsRequest(team_id=visit.team_id, page_size=CHOICES_MAX)
    found = (await visit.call(visit.client.channel_gateway.ListChannelAccounts, asked)).accounts
    return [each for each in found if each.channel == channel_pb2.CHANNEL_WHATSAPP]


async def _show_page(
    visit: Visit,
    template: MessageTemplate,
    *,
    content: TemplateContent | None = None,
    given: Mapping[str, str] | None = None,
    faults: Faults | None = None,
    status: int = 200,
) -> web.Response:
    """`content` fills it; without it nothing can be shown of one that takes parameters."""
    takes_nothing = not (template.parameter_count or _takes(template))
    if content is None and takes_nothing:
        content = TemplateContent(template_id=template.message_template_id)
    users, samples, accounts = await asyncio.gather(
        journeys_using(visit, message_template_id=template.message_template_id),
        part(visit, samples_of(visit, channel_pb2.CHANNEL_WHATSAPP)),
        part(visit, _accounts(visit)),
    )
    asked: dict[str, Any] = dict(given or {})
    sample = chosen_sample(asked, samples.answer or [])
    names = {each.channel_account_id: each.display_name for each in accounts.answer or []}
    return visit.render(
        "content/template.html",
        status=status,
        message_template=template,
        state=STATES.get(template.state),
        why=why_rejected(visit, template),
        account_name=names.get(template.account_id, template.account_id),
        users=users,
        samples=samples.answer or [],
        sample=sample,
        takes_media=template.shape.header in MEDIA_FIELDS,
        given=asked,
        preview=await template_preview(visit, content, sample) if content is not None else None,
        faults=faults or Faults(),
    )


def _takes(template: MessageTemplate) -> bool:
    """Whether header or buttons take something."""
    shape = template.shape
    return bool(
        shape.header_parameter_count
        or shape.header in MEDIA_FIELDS
        or any(button.takes_parameter for button in shape.buttons)
    )
