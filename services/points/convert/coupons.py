"""Coupons and claims: contract to domain and back, pure. Faults are reported all at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask

from libs.common.ids import derived_id
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import changed_fields
from libs.common.rpc.values import timestamp
from libs.common.text_variables import faults_in
from omnijourney.points.v1 import coupon_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert.requests import request_key
from services.points.domain.coupons import VARIABLES, Claim, Coupon, CouponType, CouponUse, Terms, filled_in
from services.points.domain.model import POINTS_MAX
from services.points.domain.views import ClaimRequest, ClaimResult, ClaimSearch

NAME_LENGTH_MAX: Final = 200
TEXT_LENGTH_MAX: Final = 1_000
PLACE_LENGTH_MAX: Final = 100
CUSTOMER_LIMIT_MAX: Final = 10**6
CLAIMS_LIMIT_MAX: Final = 10**12
_FIELDS: Final = frozenset(
    {"name", "points_redemption", "claims_per_customer_max", "claims_max", "start_time", "expire_time"}
)
"""What an update mask may name."""
_NOT_OF_CODE: Final = re.compile(r"[^0-9A-Z]+")


def terms(request: pb.CreateCouponRequest, now: datetime) -> tuple[UUID, Terms]:
    """Team and terms of a coupon that is to be created."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    converted = _terms(request.coupon, now, check)
    check.done()
    return team_id, converted


def changed_terms(present: Coupon, message: coupon_pb2.Coupon, mask: Sequence[str]) -> Terms:
    """The terms after an update of the fields in the mask; of those that are set, where it is empty."""
    check = FieldCheck()
    changed = changed_fields(check, mask, _FIELDS, message)
    check.done()
    wanted = coupon(present)
    # A path may go deeper than the fields: what it does not name of the redemption stays.
    given = coupon_pb2.Coupon()
    given.CopyFrom(message)
    if any(path.startswith("points_redemption.") for path in mask):
        given.points_redemption.SetInParent()  # a part of an absent one is one that is to be cleared, too
    fields = FieldMask(paths=mask or sorted(changed))
    fields.MergeMessage(given, wanted, replace_message_field=True)
    converted = _terms(wanted, present.terms.start_at, check)
    check.done()
    return converted


def _terms(message: coupon_pb2.Coupon, now: datetime, check: FieldCheck) -> Terms:
    kind = CouponType.MARKETING
    if message.type == coupon_pb2.COUPON_TYPE_UNSPECIFIED:
        check.fault("coupon.type", "is required")
    else:
        kind = CouponType(message.type)
    if kind != CouponType.MARKETING and message.HasField("points_redemption"):
        check.fault("coupon.points_redemption", "is for marketing coupons only")
    redemption = message.points_redemption
    paid = message.HasField("points_redemption")
    limit = check.whole(
        "coupon.claims_per_customer_max", message.claims_per_customer_max, least=0, most=CUSTOMER_LIMIT_MAX
    )
    converted = Terms(
        name=check.name("coupon.name", message.name, length_max=NAME_LENGTH_MAX),
        type=kind,
        cost=_cost(check, redemption.cost) if paid else None,
        insufficient_text=_insufficient_text(check, redemption.insufficient_text) if paid else "",
        claims_per_customer_max=limit,
        claims_max=check.whole("coupon.claims_max", message.claims_max, least=0, most=CLAIMS_LIMIT_MAX),
        start_at=_time(check, message, "start_time") or now,
        expires_at=_time(check, message, "expire_time"),
    )
    if converted.expires_at is not None and converted.expires_at <= converted.start_at:
        check.fault("coupon.expire_time", "must be after the start")
    return converted


def _cost(check: FieldCheck, cost: int) -> int:
    return check.whole("coupon.points_redemption.cost", cost, least=1, most=POINTS_MAX)


def _insufficient_text(check: FieldCheck, text: str) -> str:
    field = "coupon.points_redemption.insufficient_text"
    for fault in faults_in(text, VARIABLES):
        check.fault(field, fault.message)
    return _text(check, field, text, TEXT_LENGTH_MAX)


def _text(check: FieldCheck, field: str, text: str, length_max: int, length_min: int = 1) -> str:
    if "\x00" in text:
        check.fault(field, "must not hold the character U+0000")
    return check.text(field, text, length_max=length_max, length_min=length_min)


def _time(check: FieldCheck, message: coupon_pb2.Coupon, name: str) -> datetime | None:
    given = name in {field.name for field, _ in message.ListFields()}
    return check.time(f"coupon.{name}", message, name) if given else None


def claim_request(request: pb.ClaimCouponRequest, actor: str) -> ClaimRequest:
    """A claim that is asked for by `actor`, empty: by the customer."""
    check = FieldCheck()
    team_id = check.uuid("team_id", request.team_id)
    customer_id = check.uuid("customer_id", request.customer_id)
    wanted = ClaimRequest(
        team_id=team_id,
        claim_id=derived_id(
            team_id, "coupon claim", request_key(check, request.request_id, "claim", team_id)
        ),
        coupon_id=check.uuid("coupon_id", request.coupon_id),
        customer_id=customer_id,
        actor=actor or f"customer:{customer_id}",
        offer_id=check.optional_uuid("offer_id", request.offer_id),
    )
    check.done()
    return wanted


def coupon(each: Coupon) -> coupon_pb2.Coupon:
    """A coupon."""
    given = each.terms
    message = coupon_pb2.Coupon(
        coupon_id=str(each.coupon_id),
        team_id=str(each.team_id),
        name=given.name,
        type=given.type.value,  # type: ignore[arg-type]  # same numbers
        claims_per_customer_max=given.claims_per_customer_max,
        claims_max=given.claims_max,
        start_time=timestamp(given.start_at),
        expire_time=timestamp(given.expires_at) if given.expires_at else None,
        claims=each.claims,
        archived=each.archived,
        etag=str(each.version),
        create_time=timestamp(each.created_at),
    )
    if given.cost is not None:
        message.points_redemption.cost = given.cost
        message.points_redemption.insufficient_text = given.insufficient_text
    return message


def claim(each: Claim) -> coupon_pb2.CouponClaim:
    """A claim."""
    return coupon_pb2.CouponClaim(
        coupon_claim_id=str(each.claim_id),
        team_id=str(each.team_id),
        coupon_id=str(each.coupon_id),
        customer_id=str(each.customer_id),
        code=each.code,
        points_paid=each.points_paid,
        create_time=timestamp(each.created_at),
        expire_time=timestamp(each.expires_at) if each.expires_at else None,
        entry_sequence=each.sequence,
        use_time=timestamp(each.used_at) if each.used_at else None,
    )


def coupon_use(request: pb.UseCouponClaimRequest, actor: str) -> CouponUse:
    """A claim that `actor` marks as used."""
    check = FieldCheck()
    _require_claim(check, request)
    wanted = CouponUse(
        check.uuid("team_id", request.team_id),
        check.optional_uuid("coupon_claim_id", request.coupon_claim_id),
        code_in(request.code),
        _text(check, "place", request.place, PLACE_LENGTH_MAX, length_min=0),
        actor,
    )
    check.done()
    return wanted


def named_claim(request: pb.GetCouponClaimRequest) -> tuple[UUID, UUID | None, str]:
    """Team, claim, and the code where no claim is given."""
    check = FieldCheck()
    _require_claim(check, request)
    team_id = check.uuid("team_id", request.team_id)
    claim_id = check.optional_uuid("coupon_claim_id", request.coupon_claim_id)
    check.done()
    return team_id, claim_id, code_in(request.code)


def _require_claim(check: FieldCheck, request: pb.GetCouponClaimRequest | pb.UseCouponClaimRequest) -> None:
    if not request.coupon_claim_id and not code_in(request.code):
        check.fault("coupon_claim_id", "or code is required")


def code_in(text: str) -> str:
    """The code of a claim as it is kept: letters and digits, of whatever case and width, whatever stands between."""
    return _NOT_OF_CODE.sub("", unicodedata.normalize("NFKC", text).upper())


def claim_search(request: pb.ListCouponClaimsRequest) -> ClaimSearch:
    """A search for claims."""
    check = FieldCheck()
    search = ClaimSearch(
        check.uuid("team_id", request.team_id),
        check.optional_uuid("coupon_id", request.coupon_id),
        check.optional_uuid("customer_id", request.customer_id),
    )
    check.done()
    return search


def claim_response(claimed: ClaimResult) -> pb.ClaimCouponResponse:
    """The claim, or the coupon's text for too few points, filled in."""
    response = pb.ClaimCouponResponse(balance=claimed.balance)
    if claimed.claim is not None:
        response.claim.CopyFrom(claim(claimed.claim))
    else:
        response.insufficient_text = filled_in(claimed.insufficient_text, claimed.balance)
    return response
