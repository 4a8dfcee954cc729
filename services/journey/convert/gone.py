"""What the histories of gateway and segment tell of things that journeys name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.feeds.gateway_records import GoneFact, read_record
from libs.common.feeds.rows import FactRow, GatewayRow
from services.journey.domain.model import StatusReason
from services.journey.domain.references import Change, ReferenceKind

_KINDS: Final = {
    1: ReferenceKind.BOT_MODULE,
    2: ReferenceKind.TEMPLATE,
    3: ReferenceKind.ACCOUNT,
    4: ReferenceKind.ACCOUNT,
}
"""By the number that the gateway tells the kind of content by."""
_REASONS: Final = {4: StatusReason.WHATSAPP_BALANCE_EXHAUSTED}
"""Why journeys stop by content that is there and cannot be used."""
_DELETED: Final = "DELETED"
_UNREADABLE: Final = "the service whose row it is cannot read it"


def content_changes(row: GatewayRow) -> Iterator[Change]:
    """What a row of the gateway tells. Raises ValueError for one that cannot be read."""
    if row.team is None:
        raise ValueError(_UNREADABLE)
    team_id = UUID(bytes=row.team)
    if not row.body:  # of the release before
        gone = GoneFact(row.outcome or 0, row.key or b"", row.reason)
        yield _change(team_id, gone, row.at)
        return
    record = read_record(row.body)
    for fact in record.facts:
        if isinstance(fact, GoneFact):
            yield _change(team_id, fact, record.at)


def _change(team_id: UUID, gone: GoneFact, at: datetime) -> Change:
    if gone.kind not in _KINDS:
        raise ValueError(f"content of a kind that is not known: {gone.kind}")
    content_id = str(UUID(bytes=gone.content_id))
    reason = _REASONS.get(gone.kind)
    return Change(team_id, _KINDS[gone.kind], content_id, at, lasting=gone.reason == _DELETED, reason=reason)


def attribute_changes(row: FactRow) -> Iterator[Change]:
    """What a row of segment tells of an attribute. Raises ValueError for one that cannot be read."""
    if row.team is None or not row.attribute:
        raise ValueError(_UNREADABLE)
    named = UUID(bytes=row.team), ReferenceKind.ATTRIBUTE, row.attribute, row.at
    yield Change(*named, lasting=row.archived, back=not row.archived)
    if row.retyped:
        yield Change(*named)
