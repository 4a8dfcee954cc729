"""Conditions that need not be asked: judged by what came with the customer's mail, where that is all that they name."""

from __future__ import annotations

from typing import Final

from libs.common.audience.deciding import Decision, decide
from libs.common.audience.expressions import (
    BasicField,
    Expression,
    HasBasic,
    HasTags,
    IsBound,
    Subject,
    predicates,
)
from libs.common.audience.reading import read_audience
from libs.common.audience.spellings import is_local
from libs.common.kept_by_size import kept_by_size
from libs.common.mailbox.mail import CustomerView
from libs.common.text import fold
from omnijourney.segment.v1 import audience_pb2
from services.journey.domain import effects as fx

_ALWAYS: Final = frozenset({HasBasic})
_WHOLE: Final = frozenset({HasBasic, HasTags, IsBound})
"""What is known of a customer of whom there is nothing else."""
_AUDIENCES_MAX: Final = 10_000
"""Readings that are kept; of large ones few, which may have half a MiB each."""
_NO_ZONE: Final = "UTC"
"""Of days; no view knows times."""


def known_verdict(effect: fx.EvaluateAudience) -> fx.Verdict | None:
    """The verdict that segment would give; None where only segment can tell."""
    view = effect.view
    if view is None or (expression := _expression(effect.audience)) is None:
        return None
    found = decision_from(view, expression)
    if found is None:
        return None
    return fx.Verdict(found.belongs, has_phone=view.phone is not None, seen=found.seen)


def decision_from(view: CustomerView, expression: Expression) -> Decision | None:
    """Whether the customer is in an audience, whatever else is true of them; None if that depends on it."""
    known = _WHOLE if view.whole else _ALWAYS
    if any(type(item) not in known or is_local(item) for item in predicates(expression)):
        return None
    return decide(expression, _subject(view), view.as_of, _NO_ZONE)


@kept_by_size(len, small_kept=_AUDIENCES_MAX)
def _expression(audience: bytes) -> Expression | None:
    """None for an audience with faults, which segment names."""
    reading = read_audience(audience_pb2.Audience.FromString(audience))
    return None if reading.faults else reading.expression


def _subject(view: CustomerView) -> Subject:
    basics = {
        BasicField.MEMBER_ID: view.member_id,
        BasicField.PHONE: view.phone,
        BasicField.EMAIL: view.email,
    }
    bound = {(identity.channel, str(identity.account_id)) for identity in view.identities}
    return Subject(
        basics={field: fold(text) for field, text in basics.items() if text is not None},
        times={},
        bound=frozenset(bound | {(channel, "") for channel, _ in bound}),
    )
