"""Database rows to domain objects."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from libs.common.logging import about
from services.channel_gateway.domain.content import BotModule, Card, Template, TemplateShape, TemplateState
from services.channel_gateway.domain.model import Account, AccountState, Channel, Connection, Job, Price

_log = structlog.get_logger(__name__)

Row = Mapping[str, Any]

_CONNECTION: Final = msgspec.json.Decoder(Connection)
_CARDS: Final = msgspec.json.Decoder(tuple[Card, ...])
_SHAPE: Final = msgspec.json.Decoder(TemplateShape)
_PARTS: Final = msgspec.msgpack.Decoder(list[bytes])


def account_of(row: Row) -> Account:
    """An account, secrets included."""
    return Account(
        row["team_id"],
        row["account_id"],
        Channel(row["channel"]),
        row["display_name"],
        AccountState(row["state"]),
        row["state_reason"],
        _CONNECTION.decode(row["connection"]),
        row["rate_per_second"],
        row["concurrency_max"],
        row["created_at"],
        row["updated_at"],
        row["version"],
    )


def module_of(row: Row) -> BotModule:
    """A bot module."""
    return BotModule(
        row["team_id"],
        row["bot_module_id"],
        row["name"],
        _CARDS.decode(row["cards"]),
        row["created_at"],
        row["updated_at"],
        row["version"],
    )


def template_of(row: Row) -> Template:
    """A template."""
    return Template(
        row["team_id"],
        row["template_id"],
        row["account_id"],
        row["name"],
        row["language"],
        TemplateState(row["state"]),
        row["category"],
        tuple(row["parameter_names"]),
        row["parameter_count"],
        row["created_at"],
        row["updated_at"],
        row["version"],
        None if row["shape"] is None else _SHAPE.decode(row["shape"]),
        row["rejected_reason"],
    )


def job_of(row: Row) -> Job:
    """An accepted send that is not settled."""
    return Job(
        team_id=row["team_id"],
        effect_key=row["effect_key"],
        customer_id=row["customer_id"],
        enrolment_id=row["enrolment_id"],
        journey_id=row["journey_id"],
        node_id=row["node_id"],
        channel=Channel(row["channel"]),
        account_id=row["account_id"],
        depth=row["depth"],
        stop_epoch=row["stop_epoch"],
        not_after=row["not_after"],
        recipient=row["recipient"],
        parts=parts_of(row),
        price=Price(row["currency"], row["price_micros"]),
        template_id=row["template_id"],
        attempts=row["attempts"],
        parts_sent=row["parts_sent"],
        messages_reported=row["messages_reported"],
        message_ids=list(row["message_ids"]),
        doubtful=row["doubtful"],
    )


def parts_of(row: Row) -> list[bytes]:
    """The request bodies; none where they cannot be read, since one such row must not hide the others."""
    try:
        return _PARTS.decode(row["parts"])
    except (msgspec.DecodeError, TypeError):
        _log.exception(
            "the bodies of a send cannot be read",
            **about(team_id=row.get("team_id"), effect_key=row.get("effect_key")),
        )
        return []


def pack_parts(parts: list[bytes]) -> bytes:
    """Request bodies as they are stored."""
    return msgspec.msgpack.encode(parts)


def json_of(value: Any) -> str:
    """A value as a column of JSON takes it."""
    return msgspec.json.encode(value).decode()


def written_row(row: Row | None) -> Row:
    """The row that a statement returns of what it writes."""
    assert row is not None, "the statement returns the row that it writes"
    return row
