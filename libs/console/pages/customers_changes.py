"""What is changed about one customer: basic data, tags, attributes, consent; and the two that cannot be undone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiohttp import web
from google.protobuf.field_mask_pb2 import FieldMask

from libs.console.faults import Faults
from libs.console.forms import number_of, refusal, status_of, texts_of
from libs.console.labels import CHANNELS, ENDED, OPERATION_STATES
from libs.console.languages import noted
from libs.console.pages.customers import CHOICES_MAX, customer_of, id_of, render_customer
from libs.console.visits import Visit
from omnijourney.client import CallError
from omnijourney.common.v1 import channel_pb2, operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.segment.v1 import attribute_pb2, consent_pb2
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.attribute_pb2 import Attribute
from omnijourney.segment.v1.customer_pb2 import Customer

routes = web.RouteTableDef()

_LABELS: Final = {
    "name": noted("Name"),
    "member_id": noted("Member ID"),
    "phone": noted("Phone"),
    "email": noted("Email"),
}
BASICS: Final = tuple(_LABELS)
_NAMES: Final = {f"customer.{field}": field for field in BASICS}
_CANDIDATES_MAX: Final = 20
_NOT_CONFIRMED: Final = noted("Tick that you know that this cannot be undone.")


@routes.get("/customers/new")
async def new(request: web.Request) -> web.Response:
    """Asks for the basic data of somebody new."""
    visit = Visit.of(request)
    return visit.render("customers/edit.html", customer=None, given={})


@routes.post("/customers/new")
async def create(request: web.Request) -> web.Response:
    """Makes them known."""
    visit = Visit.of(request)
    given = await texts_of(visit)
    try:
        made = await visit.call(
            visit.client.segment.CreateCustomer,
            segment.CreateCustomerRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                customer=_basics(given),
            ),
        )
    except CallError as error:
        faults = refusal(visit, error, _NAMES)
        return visit.render(
            "customers/edit.html", status=status_of(error), customer=None, given=given, faults=faults
        )
    return visit.go(f"/customers/{made.customer.customer_id}", noted("The customer is there."))


@routes.get("/customers/{customer_id}/edit")
async def edit(request: web.Request) -> web.Response:
    """Asks for other basic data."""
    visit = Visit.of(request)
    customer = await customer_of(visit, request.match_info["customer_id"])
    given = {field: getattr(customer, field) for field in BASICS}
    return visit.render("customers/edit.html", customer=customer, given={**given, "etag": customer.etag})


@routes.post("/customers/{customer_id}/edit")
async def update(request: web.Request) -> web.Response:
    """Changes the basic data, unless somebody else was faster."""
    visit = Visit.of(request)
    customer = await customer_of(visit, request.match_info["customer_id"])
    given = await texts_of(visit)
    changed = _basics(given, customer.customer_id)
    try:
        await visit.call(
            visit.client.segment.UpdateCustomer,
            segment.UpdateCustomerRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                customer=changed,
                update_mask=FieldMask(paths=BASICS),
                etag=given.get("etag", ""),
            ),
        )
    except CallError as error:
        return visit.render(
            "customers/edit.html",
            status=status_of(error),
            customer=customer,
            given=given,
            faults=refusal(visit, error, _NAMES),
        )
    return visit.go(f"/customers/{customer.customer_id}", noted("The basic data is changed."))


@routes.post("/customers/{customer_id}/tags")
async def change_tags(request: web.Request) -> web.Response:
    """Adds a tag, or takes one away."""
    visit = Visit.of(request)
    customer_id, given = id_of(request.match_info["customer_id"]), await texts_of(visit)
    add, remove = given.get("add", "").strip(), given.get("remove", "")
    try:
        await visit.call(
            visit.client.segment.ChangeCustomerTags,
            segment.ChangeCustomerTagsRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                customer_id=customer_id,
                add=[add] if add or not remove else [],
                remove=[remove] if remove else [],
            ),
        )
    except CallError as error:
        return await _again(visit, customer_id, error, given, {"add": "add", "remove": "add"})
    return visit.go(f"/customers/{customer_id}#tags", noted("The tags are changed."))


@routes.get("/customers/{customer_id}/attributes")
async def attributes(request: web.Request) -> web.Response:
    """Asks for the values of the team's attributes."""
    visit = Visit.of(request)
    customer, known = await asyncio.gather(
        customer_of(visit, request.match_info["customer_id"]), _attributes(visit)
    )
    return visit.render(
        "customers/attributes.html", customer=customer, attributes=known, given=dict(customer.attributes)
    )


@routes.post("/customers/{customer_id}/attributes")
async def set_attributes(request: web.Request) -> web.Response:
    """Sets those that were filled in and clears the others."""
    visit = Visit.of(request)
    customer, known = await asyncio.gather(
        customer_of(visit, request.match_info["customer_id"]), _attributes(visit)
    )
    given = await texts_of(visit)
    fields = {each.key: given.get(f"attribute-{each.key}", "").strip() for each in known}
    had = dict(customer.attributes)
    try:
        await visit.call(
            visit.client.segment.SetCustomerAttributes,
            segment.SetCustomerAttributesRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                customer_id=customer.customer_id,
                values={key: value for key, value in fields.items() if value and value != had.get(key)},
                clear=[key for key, value in fields.items() if not value and key in had],
            ),
        )
    except CallError as error:
        names = {f"attributes[{key}]": f"attribute-{key}" for key in fields}
        return visit.render(
            "customers/attributes.html",
            status=status_of(error),
            customer=customer,
            attributes=known,
            given=fields,
            faults=refusal(visit, error, names),
        )
    return visit.go(f"/customers/{customer.customer_id}#attributes", noted("The attributes are changed."))


@routes.post("/customers/{customer_id}/consent")
async def set_consent(request: web.Request) -> web.Response:
    """Records what the customer wants on a channel, or on all."""
    visit = Visit.of(request)
    customer_id, given = id_of(request.match_info["customer_id"]), await texts_of(visit)
    channel, state = number_of(given.get("channel", "0")), number_of(given.get("state", ""))
    try:
        await visit.call(
            visit.client.segment.SetConsent,
            segment.SetConsentRequest(
                team_id=visit.team_id,
                request_id=given["request_id"],
                customer_id=customer_id,
                channel=channel_pb2.Channel.ValueType(channel),
                state=consent_pb2.ConsentState.ValueType(state),
                note=given.get("note", ""),
            ),
        )
    except CallError as error:
        return await _again(
            visit, customer_id, error, given, {"channel": "channel", "state": "state", "note": "note"}
        )
    return visit.go(f"/customers/{customer_id}#consent", noted("What the customer wants is noted."))


@routes.get("/customers/{customer_id}/merge")
async def merge_form(request: web.Request) -> web.Response:
    """Lets one choose who is the same person, and shows both before they are made one."""
    visit = Visit.of(request)
    customer = await customer_of(visit, request.match_info["customer_id"])
    return await _merge_page(visit, customer)


async def _merge_page(visit: Visit, customer: Customer, **context: Any) -> web.Response:
    query = visit.request.query
    keyword, other_id = query.get("keyword", "").strip()[:100], query.get("other", "")
    other, candidates = context.pop("other", None), []
    if other_id and other is None:
        other = await customer_of(visit, other_id)
    elif keyword:
        request = segment.ListCustomersRequest(
            team_id=visit.team_id, keyword=keyword, page_size=_CANDIDATES_MAX
        )
        found = (await visit.call(visit.client.segment.ListCustomers, request)).customers
        candidates = [each for each in found if each.customer_id != customer.customer_id]
    return visit.render(
        "customers/merge.html",
        **{
            "customer": customer,
            "other": other,
            "lost": _lost(visit, customer, other, await _attributes(visit)) if other else [],
            "candidates": candidates,
            "keyword": keyword,
            "channels": CHANNELS,
            **context,
        },
    )


def _lost(
    visit: Visit, stays: Customer, goes: Customer, attributes: Iterable[Attribute]
) -> list[tuple[str, str, str]]:
    """What a merge takes away, as label, value that stays and value that goes: both have one, and they differ."""
    both = [
        (visit.say(label), getattr(stays, field), getattr(goes, field)) for field, label in _LABELS.items()
    ]
    both += [
        (each.display_name or each.key, stays.attributes.get(each.key, ""), goes.attributes.get(each.key, ""))
        for each in attributes
    ]
    return [line for line in both if line[1] and line[2] and line[1] != line[2]]


@routes.post("/customers/{customer_id}/merge")
async def merge(request: web.Request) -> web.Response:
    """Makes two customers one: the one whose page it is stays."""
    visit = Visit.of(request)
    customer = await customer_of(visit, request.match_info["customer_id"])
    given = await texts_of(visit)
    faults = _unconfirmed(visit, given)
    if not faults:
        try:
            answer = await visit.call(
                visit.client.segment.MergeCustomers,
                segment.MergeCustomersRequest(
                    team_id=visit.team_id,
                    request_id=given["request_id"],
                    survivor_id=customer.customer_id,
                    loser_id=given.get("other", ""),
                ),
            )
        except CallError as error:
            faults = refusal(visit, error, _NAMES)
        else:
            operation_id = answer.customer_merge.operation.operation_id
            return visit.go(
                f"/customers/work/{operation_id}?of={customer.customer_id}",
                noted("The two are one from now on. Points and journeys follow."),
            )
    other = await customer_of(visit, given.get("other", ""))
    return await _merge_page(visit, customer, other=other, faults=faults, status=422)


@routes.get("/customers/{customer_id}/erase")
async def erase_form(request: web.Request) -> web.Response:
    """Says what goes and what stays before anything is erased."""
    visit = Visit.of(request)
    customer = await customer_of(visit, request.match_info["customer_id"])
    return visit.render("customers/erase.html", customer=customer)


@routes.post("/customers/{customer_id}/erase")
async def erase(request: web.Request) -> web.Response:
    """Begins to erase a person everywhere."""
    visit = Visit.of(request)
    customer = await customer_of(visit, request.match_info["customer_id"])
    given = await texts_of(visit)
    if faults := _unconfirmed(visit, given):
        return visit.render("customers/erase.html", status=422, customer=customer, faults=faults)
    answer = await visit.call(
        visit.client.segment.StartErasure,
        segment.StartErasureRequest(
            team_id=visit.team_id, request_id=given["request_id"], customer_id=customer.customer_id
        ),
    )
    return visit.go(f"/customers/work/{answer.operation.operation_id}", noted("The erasure has begun."))


@routes.get("/customers/work/{operation_id}")
async def work(request: web.Request) -> web.Response:
    """How far a merge or an erasure is."""
    visit = Visit.of(request)
    answer = await visit.call(
        visit.client.operations("segment").GetOperation,
        operations.GetOperationRequest(
            team_id=visit.team_id, operation_id=id_of(request.match_info["operation_id"])
        ),
    )
    operation = answer.operation
    of = request.query.get("of", "")
    return visit.render(
        "customers/work_part.html" if visit.is_part else "customers/work.html",
        operation=operation,
        is_merge=operation.kind == operation_pb2.OPERATION_KIND_CUSTOMER_MERGE,
        has_ended=operation.state in ENDED,
        states=OPERATION_STATES,
        customer_id=id_of(of) if of else "",
    )


async def _again(
    visit: Visit, customer_id: str, error: CallError, given: dict[str, str], names: dict[str, str]
) -> web.Response:
    """The customer's page, with what a small form on it was refused for."""
    customer = await customer_of(visit, customer_id)
    return await render_customer(
        visit,
        customer,
        status=status_of(error),
        faults=refusal(visit, error, names),
        asked=given,
    )


async def _attributes(visit: Visit) -> list[Any]:
    request = segment.ListAttributesRequest(
        team_id=visit.team_id, page_size=CHOICES_MAX, state=attribute_pb2.ATTRIBUTE_STATE_ACTIVE
    )
    return list((await visit.call(visit.client.segment.ListAttributes, request)).attributes)


def _basics(given: Mapping[str, str], customer_id: str = "") -> Customer:
    return Customer(
        customer_id=customer_id,
        name=given.get("name", ""),
        member_id=given.get("member_id", ""),
        phone=given.get("phone", ""),
        email=given.get("email", ""),
    )


def _unconfirmed(visit: Visit, given: dict[str, str]) -> Faults:
    faults = Faults()
    if not given.get("sure"):
        faults.add("sure", visit.say(_NOT_CONFIRMED))
    return faults
