"""What a call refused, as a page shows it: each fault at its field, the rest above the form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc

from libs.console.field_faults import in_words
from libs.console.languages import noted
from omnijourney.client import CallError

REASONS: Final[Mapping[str, str]] = {
    "ETAG_MISMATCH": noted("Somebody else changed this meanwhile. Look at what is there now and try again."),
    "WRITE_CONFLICT": noted("Somebody else changed this at the same moment. Try again."),
    "STATUS_FORBIDS_ACTION": noted("The present status does not allow this."),
    "EDIT_FORBIDDEN": noted("This part cannot be changed any more once the journey is published."),
    "DUPLICATE_VALUE": noted("This name is taken. Choose another one."),
    "RESOURCE_NOT_FOUND": noted("It is not there any more, or belongs to another team."),
    "SCOPE_MISSING": noted("Your token does not allow this. Ask whoever gave it to you for one that does."),
    "TOKEN_INVALID": noted("Your token is not valid any more. Sign in with a new one."),
    "MODULE_MISSING": noted("The team does not have the module that this needs."),
    "OVERLOADED": noted("There is too much to do at the moment. Try again in a minute."),
    "RATE_LIMITED": noted("There were too many calls at once. Try again in a minute."),
    "DEPENDENCY_UNAVAILABLE": noted("A service does not answer. Try again in a minute."),
    "INVALID_FIELDS": noted("Some fields are not right yet. Each says what would be."),
    "SEARCH_RANGE_TOO_LONG": noted("At most 90 days can be searched at once. Choose a shorter time."),
    "FORMULA_ALREADY_SET": noted("The formula of a team is set once. It is set already."),
    "IDENTITY_TAKEN": noted("Another customer has this already. If they are the same person, merge the two."),
    "CUSTOMER_MERGED": noted("This customer was merged into another one meanwhile."),
    "CUSTOMER_ERASED": noted("This person was erased."),
    "ATTRIBUTE_UNAVAILABLE": noted("An attribute was archived or has another type meanwhile."),
    "REQUEST_ID_REUSED": noted(
        "This form was sent before with other content, which was done. To do this as well, press the button again."
    ),
    "PAGE_TOKEN_INVALID": noted("This page of the list is not there any more. Begin with the first page."),
    "NOT_IMPLEMENTED": noted("This release cannot do this yet."),
    "CLOCK_NOT_CONTROLLABLE": noted("The clock of this installation cannot be changed."),
    "CLOCK_VERSION_MISMATCH": noted("Somebody else changed the clock meanwhile. Look at it and try again."),
    "INSTALLATION_ONLY": noted("This concerns the whole installation: your token is one of a team."),
    "MESSAGE_TOO_LARGE": noted("This is more than can be taken at once. Send less of it."),
    "OPERATION_NOT_DONE": noted("It is still under way. Wait until it is done."),
    "OPERATION_NOT_CANCELLABLE": noted("It has gone too far to be ended."),
    "OPERATION_NOT_PAUSABLE": noted("Work of this kind cannot be paused."),
    "ENROLMENT_ENDED": noted("The customer's way through this journey has ended already."),
    "INSUFFICIENT_POINTS": noted("The customer has fewer points than this would take."),
    "COUPON_NOT_CLAIMABLE": noted("The coupon cannot be claimed now."),
    "IMPORT_STATE": noted("The import has gone on meanwhile: its present state does not allow this."),
    "IMPORT_FILE_REPEATED": noted("This file was imported before."),
    "POINTS_OUT_OF_RANGE": noted("The points would be fewer than none or more than can be counted."),
    "COUPON_CLAIM_USED": noted("The coupon was used before."),
    "COUPON_CLAIM_EXPIRED": noted("The coupon is not valid any more."),
    "CHANNEL_UNSUPPORTED": noted("This release does not know the channel."),
    "WALLET_CURRENCY_MISMATCH": noted(
        "The prepaid balance and the price are of two currencies. Make them the same."
    ),
    "WALLET_BALANCE_TOO_LOW": noted("The prepaid balance holds less than this would take."),
    "SHOP_KEY_LIMIT": noted("The shop has as many signing keys as it may have. Revoke one first."),
    "WEBHOOK_SUBSCRIPTION_LIMIT": noted("The team has as many webhooks as it may have. Delete one first."),
    "CONTENT_NOT_KEPT": noted("What was sent then is not kept any more."),
    "AUDIENCE_INVALID": noted("The audience is not right yet."),
    "CUSTOMER_LIMIT_REACHED": noted(
        "The customer has as many tags, identities or attributes as one may have."
    ),
    "API_CLIENT_LIMIT": noted("There are as many API clients as there may be. Revoke one first."),
    "API_CLIENT_UNCHANGEABLE": noted(
        "This API client was revoked, or is set by configuration, and stays as it is."
    ),
    "IN_USE": noted("It is still used. Take it out of what uses it first."),
}
"""What to say, and do, about the reasons of the contract that people meet."""
_SAID_WHOLLY: Final = frozenset({"REQUEST_ID_REUSED"})
"""Reasons of which the service's own sentence says no more."""
_CODES: Final[Mapping[grpc.StatusCode, str]] = {
    grpc.StatusCode.UNAVAILABLE: REASONS["DEPENDENCY_UNAVAILABLE"],
    grpc.StatusCode.DEADLINE_EXCEEDED: noted(
        "The answer took too long. Look whether it was done, then try again."
    ),
    grpc.StatusCode.NOT_FOUND: REASONS["RESOURCE_NOT_FOUND"],
    grpc.StatusCode.PERMISSION_DENIED: REASONS["SCOPE_MISSING"],
    grpc.StatusCode.UNAUTHENTICATED: REASONS["TOKEN_INVALID"],
}
ELSE: Final = noted("This did not work. Try again; if it stays so, tell whoever runs the installation.")
STATUSES: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.INVALID_ARGUMENT: 422,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""How a failed call is answered to a browser; 500 for the others."""


def sentence_of(error: CallError) -> str:
    """What to say about a failed call, in English, as the catalogue has it."""
    return REASONS.get(error.reason) or _CODES.get(error.code) or ELSE


@dataclass(slots=True)
class Faults:
    """Sentences by the name of a form's field; under the empty name those of the whole form. Several are joined."""

    by_field: dict[str, str] = field(default_factory=dict)
    detail: str = ""
    """What the service said, in English; empty where the fields say it."""

    @classmethod
    def of(
        cls,
        error: CallError,
        names: Mapping[str, str] | None = None,
        *,
        say: Callable[..., str],
        whole: str = "",
    ) -> Faults:
        """Those of a refused call, in the language of `say`. `names` maps the paths of the request to the fields of
        the form, the longest that fits; a path that fits none stands with the whole, under what `whole` says about it
        (translated)."""
        found = cls()
        for violation in error.violations:
            name = _name(violation.field, names or {})
            said = in_words(say, violation.description)
            found.add(name, said if name else f"{violation.field}: {said}")
        if whole:
            found.by_field[""] = " ".join(filter(None, (whole, found.by_field.get("", ""))))
        if not error.violations and error.reason not in _SAID_WHOLLY:
            found.detail = error.message
        return found

    def add(self, name: str, sentence: str) -> None:
        """One more, in the visitor's language where it is ours."""
        before = self.by_field.get(name)
        self.by_field[name] = f"{before} {sentence}" if before else sentence

    def get(self, name: str) -> str:
        """Of one field; empty for none."""
        return self.by_field.get(name, "")

    def __bool__(self) -> bool:
        return bool(self.by_field or self.detail)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.by_field.items())


def _name(path: str, names: Mapping[str, str]) -> str:
    fitting = [known for known in names if path == known or path.startswith((f"{known}.", f"{known}["))]
    return names[max(fitting, key=len)] if fitting else ""
