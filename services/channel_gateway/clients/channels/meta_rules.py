"""What the codes of the WhatsApp Cloud API mean, as data. The same codes come in answers and in later statuses."""

from typing import Final

from services.channel_gateway.clients.channels.base import (
    FEW,
    HOURS,
    MINUTES,
    NORMAL,
    PAIR,
    SLOW_ACCOUNT,
    Confirm,
    Rule,
    Verdict,
)
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.model import Reason

_UNUSABLE: Final = Rule(Verdict.FAILED, Reason.ACCOUNT_UNUSABLE, account_unusable=True)
_OTHER_TEMPLATE: Final = Rule(Verdict.FAILED, Reason.TEMPLATE_PARAMETERS, reads_template=True)
_RATE: Final = Rule(Verdict.RETRY, backoff=SLOW_ACCOUNT)

TEMPLATE_DISABLED: Final = 132016
"""The code of a template that is gone for good."""

WHATSAPP: Final[dict[int, Rule]] = {
    # Rates: of the app, the business account, the number, one person.
    4: _RATE,
    80007: _RATE,
    130429: _RATE,
    131056: Rule(Verdict.RETRY, backoff=PAIR),
    131048: Rule(Verdict.RETRY, backoff=HOURS),
    131064: Rule(Verdict.RETRY, backoff=HOURS),
    # Passing faults of theirs.
    2: Rule(Verdict.RETRY),
    1: Rule(Verdict.RETRY, backoff=FEW),
    131000: Rule(Verdict.RETRY, backoff=FEW),
    131016: Rule(Verdict.RETRY),
    133004: Rule(Verdict.RETRY),
    131057: Rule(Verdict.RETRY, backoff=MINUTES),
    132069: Rule(Verdict.RETRY),
    131052: Rule(Verdict.RETRY, backoff=FEW._replace(attempts_max=2)),
    # The person.
    131047: Rule(Verdict.SKIPPED, Reason.OUTSIDE_WINDOW),
    131050: Rule(Verdict.SKIPPED, Reason.OPTED_OUT),
    131049: Rule(Verdict.FAILED, Reason.META_LIMITED, limits_person=True),
    130472: Rule(Verdict.FAILED, "META_EXPERIMENT"),
    131026: Rule(Verdict.FAILED, "UNDELIVERABLE", unreachable=True),
    131021: Rule(Verdict.FAILED, "RECIPIENT_IS_SENDER"),
    131030: Rule(Verdict.FAILED, "RECIPIENT_NOT_ALLOWED"),
    131062: Rule(Verdict.FAILED, "RECIPIENT_INVALID"),
    137000: Rule(Verdict.FAILED, "IDENTITY_CHANGED"),
    130497: Rule(Verdict.FAILED, "COUNTRY_RESTRICTED"),
    # Templates.
    132001: Rule(Verdict.FAILED, Reason.TEMPLATE_NOT_APPROVED, confirm=Confirm.TEMPLATE),
    TEMPLATE_DISABLED: Rule(
        Verdict.EXHAUSTED, Reason.WHATSAPP_TEMPLATE_MISSING, template_state=TemplateState.DISABLED
    ),
    132000: _OTHER_TEMPLATE,
    132005: Rule(Verdict.FAILED, "TEMPLATE_TOO_LONG"),
    132007: Rule(Verdict.FAILED, "TEMPLATE_POLICY"),
    132008: _OTHER_TEMPLATE,
    132012: _OTHER_TEMPLATE,
    132018: _OTHER_TEMPLATE,
    132015: Rule(Verdict.FAILED, "TEMPLATE_PAUSED", template_state=TemplateState.PAUSED),
    132068: Rule(Verdict.FAILED, "FLOW_BLOCKED"),
    131063: Rule(Verdict.FAILED, "MARKETING_OFF"),
    # Money.
    131042: Rule(Verdict.EXHAUSTED, Reason.WHATSAPP_BALANCE_EXHAUSTED),
    # The account.
    33: _UNUSABLE,
    134011: _UNUSABLE,
    131031: _UNUSABLE,
    368: _UNUSABLE,
    131037: _UNUSABLE,
    131045: _UNUSABLE,
    133010: _UNUSABLE,
    0: _UNUSABLE,
    190: _UNUSABLE,
    3: _UNUSABLE,
    10: _UNUSABLE,
    131005: _UNUSABLE,
    **dict.fromkeys(range(200, 300), _UNUSABLE),
    # The request.
    100: Rule(Verdict.FAILED),
    # Also of a template's link that ends in a variable, and gets none.
    131008: Rule(Verdict.FAILED, reads_template=True),
    131009: Rule(Verdict.FAILED),
    131051: Rule(Verdict.FAILED),
    131053: Rule(Verdict.FAILED),
    135000: Rule(Verdict.FAILED),
    133016: Rule(Verdict.FAILED),
}
NOT_SENT: Final = Rule(Verdict.RETRY, "CONNECTION_FAILED", backoff=NORMAL)
NO_ANSWER: Final = Rule(Verdict.UNKNOWN, Reason.NO_ANSWER)


def failure_reason(code: int) -> str:
    """Why a message failed that was accepted before: as of one that is refused for the same."""
    rule = WHATSAPP.get(code)
    return str(rule.reason) if rule is not None and rule.reason else f"WHATSAPP_{code}"


def late_rule(code: int) -> Rule | None:
    """What a code says that comes after a message was taken; None: nothing beyond it."""
    return WHATSAPP.get(code)


def late_template_state(code: int) -> TemplateState | None:
    """How a template stands by a code that comes after a message was taken; None: it does not say. One that is not
    there, or not approved, rests until WhatsApp says of it what is so: nobody is asked here."""
    rule = WHATSAPP.get(code)
    if rule is None or rule.confirm is Confirm.TEMPLATE:
        return None if rule is None else TemplateState.PAUSED
    return rule.template_state


def is_unpaid(rule: Rule) -> bool:
    """Whether the channel takes nothing that costs, until it is paid."""
    return rule.verdict is Verdict.EXHAUSTED and rule.reason == Reason.WHATSAPP_BALANCE_EXHAUSTED


def whatsapp_rule(code: int | None, status: int) -> Rule:
    """The rule for a code. Unlisted ones: 5xx is repeated a few times, all else has failed. A 5xx without any code is
    not WhatsApp's own, and does not say whether the message was taken: there is no key to ask again with."""
    if code is None:
        return NO_ANSWER if status >= 500 else Rule(Verdict.FAILED)
    if code in WHATSAPP:
        return WHATSAPP[code]
    return Rule(Verdict.RETRY, backoff=FEW) if status >= 500 else Rule(Verdict.FAILED)
