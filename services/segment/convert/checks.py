"""Checks of fields that segment needs beside those that all services share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.errors import DomainError
from libs.common.money import is_currency
from libs.common.rpc.fields import FieldCheck
from omnijourney.common.v1 import error_reason_pb2, money_pb2
from omnijourney.segment.v1 import customer_pb2
from services.segment.domain.audience import ChannelNumber
from services.segment.domain.model import IdentityKey

ID_LENGTH_MAX: Final = 200
NAME_LENGTH_MAX: Final = 200
EMAIL_LENGTH_MAX: Final = 320
TAG_LENGTH_MAX: Final = 100
AMOUNT_MICROS_MAX: Final = 10**18
"""A million million units: far above any order, far below what 64 bits overflow at when summed."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_CHANNELS: Final[frozenset[int]] = frozenset(ChannelNumber)


class _Ref(Protocol):
    """A message that names a customer."""

    team_id: str
    customer_id: str


class Check(FieldCheck):
    """See `FieldCheck`."""

    def line(self, field: str, text: str, *, length_max: int = ID_LENGTH_MAX, required: bool = True) -> str:
        """A text of one line, without control characters."""
        if text.isprintable() and len(text) <= length_max and (text.strip() or not required):
            return text
        if _CONTROL.search(text):
            self.fault(field, "must not hold control characters")
        return self.text(field, text, length_max=length_max, length_min=1 if required else 0)

    def optional_line(self, field: str, text: str, *, length_max: int = ID_LENGTH_MAX) -> str | None:
        """A text of one line, or None when it is empty."""
        return self.line(field, text, length_max=length_max) if text else None

    def phone(self, field: str, text: str) -> str | None:
        """A number in E.164 form, or None when the field is empty."""
        if text and not _PHONE.fullmatch(text):
            self.fault(field, "must be a number in E.164 form such as +886912345678")
        return text or None

    def email(self, field: str, text: str) -> str | None:
        """An e-mail address, or None when the field is empty."""
        if text and "@" not in text:
            self.fault(field, "must be an e-mail address")
        return self.optional_line(field, text, length_max=EMAIL_LENGTH_MAX)

    def tags(self, field: str, tags: Iterable[str]) -> tuple[str, ...]:
        """Tags, each once as far as they are written alike."""
        found: dict[str, None] = {}
        for index, tag in enumerate(tags):
            found[self.line(f"{field}[{index}]", tag, length_max=TAG_LENGTH_MAX)] = None
        return tuple(found)

    def identity(self, field: str, message: customer_pb2.IdentityKey) -> IdentityKey:
        """The key of an identity."""
        channel, external_id = message.channel, message.external_id
        if int(channel) not in _CHANNELS:
            self.fault(f"{field}.channel", "is required")
        try:
            account_id: UUID = DriverUUID(message.account_id)
        except ValueError:
            account_id = self.uuid(f"{field}.account_id", message.account_id)
        if not external_id.isalnum() or len(external_id) > ID_LENGTH_MAX:
            self.line(f"{field}.external_id", external_id)
        return IdentityKey(channel, account_id, external_id)

    def customer(self, message: _Ref) -> tuple[UUID, UUID]:
        """Team and customer that a request is about."""
        return self.uuid("team_id", message.team_id), self.uuid("customer_id", message.customer_id)

    def customers(self, field: str, items: Sequence[_Ref]) -> list[tuple[UUID, UUID]]:
        """Team and customer of each item."""
        try:
            return [(DriverUUID(item.team_id), DriverUUID(item.customer_id)) for item in items]
        except ValueError:
            return [
                (
                    self.uuid(f"{field}[{index}].team_id", item.team_id),
                    self.uuid(f"{field}[{index}].customer_id", item.customer_id),
                )
                for index, item in enumerate(items)
            ]

    def money(self, field: str, message: money_pb2.Money) -> tuple[int, str]:
        """Micros and currency."""
        if not is_currency(message.currency_code):
            self.fault(f"{field}.currency_code", "must be a code such as USD")
        if abs(message.amount_micros) > AMOUNT_MICROS_MAX:
            self.fault(f"{field}.amount_micros", "is too large")
        return message.amount_micros, message.currency_code

    def summary(self) -> str:
        """All faults in one line, for the answer to a single item."""
        return "; ".join(f"{violation.field} {violation.description}" for violation in self.violations)


def reason_number(reason: str) -> error_reason_pb2.ErrorReason.ValueType:
    """The number of a reason by its name; 0 for none."""
    if not reason:
        return error_reason_pb2.ERROR_REASON_UNSPECIFIED
    return error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}")


def error_line(error: DomainError) -> str:
    """A refusal in one line, for the answer to a single item."""
    faults = "; ".join(f"{violation.field} {violation.description}" for violation in error.violations)
    return faults or error.message
