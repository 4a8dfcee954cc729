"""Checks of fields that segment needs beside those that all services share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Final, Protocol
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.audience.expressions import ChannelNumber
from libs.common.channel_ids import SAID, is_person_id
from libs.common.errors import DomainError
from libs.common.hints import EMAIL_LENGTH_MAX, ID_LENGTH_MAX, is_email
from libs.common.money import AMOUNT_MICROS_MAX, is_currency
from libs.common.phones import is_e164, is_whatsapp_id, read_phone, whatsapp_id
from libs.common.rpc.fields import FieldCheck
from libs.common.text import CONTROL, as_address, as_key, as_seen, shows
from omnijourney.common.v1 import error_reason_pb2, money_pb2
from omnijourney.segment.v1 import customer_pb2
from services.segment.domain.model import IdentityKey

TAG_LENGTH_MAX: Final = 100

_CHANNELS: Final[frozenset[int]] = frozenset(ChannelNumber)


class _Ref(Protocol):
    """A message that names a customer."""

    team_id: str
    customer_id: str


class Check(FieldCheck):
    """See `FieldCheck`."""

    country = ""
    """In whose form numbers on WhatsApp are read."""

    def line(self, field: str, text: str, *, length_max: int = ID_LENGTH_MAX, required: bool = True) -> str:
        """A text of one line, without control characters."""
        if text.isprintable() and len(text) <= length_max and (shows(text) or not required):
            return text
        if CONTROL.search(text):
            self.fault(field, "must not hold control characters")
        return self.text(field, text, length_max=length_max, length_min=1 if required else 0)

    def key(self, field: str, text: str, *, required: bool = True) -> str:
        """The id by which a shop knows something, as it is seen: what is copied along with it makes no other one."""
        return self.line(field, as_key(text), required=required)

    def optional_line(self, field: str, text: str, *, length_max: int = ID_LENGTH_MAX) -> str | None:
        """A text of one line, or None when it is empty."""
        return self.line(field, text, length_max=length_max) if text else None

    def phone(self, field: str, text: str, country: str) -> str | None:
        """A number as people of `country` write it, in E.164; None when the field is empty."""
        if not text:
            return None
        number = read_phone(text, country)
        if number is None:
            self.fault(
                field, "must be a phone number, as the team's country writes it or such as +886912345678"
            )
        return number

    def email(self, field: str, text: str) -> str | None:
        """An e-mail address as it is seen, or None when the field is empty."""
        email = as_address(text)
        if email and not is_email(email):
            self.fault(field, "must be an e-mail address")
        return self.optional_line(field, email, length_max=EMAIL_LENGTH_MAX)

    def member(self, field: str, text: str) -> str | None:
        """A member id or token as it is seen, or None when the field is empty."""
        return self.line(field, as_key(text)) if text else None

    def tags(self, field: str, tags: Iterable[str]) -> tuple[str, ...]:
        """Tags as they are seen, each once as far as they are written alike."""
        found: dict[str, None] = {}
        for index, tag in enumerate(tags):
            found[self.line(f"{field}[{index}]", as_seen(tag), length_max=TAG_LENGTH_MAX)] = None
        return tuple(found)

    def identity(
        self, field: str, message: customer_pb2.IdentityKey, *, any_form: bool = False
    ) -> IdentityKey:
        """The key of an identity; its id on the channel without what people copy along with it. `any_form`: one that
        was bound before ids were held to their channel's form may be named."""
        channel, external_id = message.channel, as_key(message.external_id)
        if int(channel) not in _CHANNELS:
            self.fault(f"{field}.channel", "is required")
        try:
            account_id: UUID = DriverUUID(message.account_id)
        except ValueError:
            account_id = self.uuid(f"{field}.account_id", message.account_id)
        if int(channel) == ChannelNumber.WHATSAPP and external_id:
            number = whatsapp_id(external_id, self.country)
            if number is None:
                self.fault(
                    f"{field}.external_id", "must be a phone number with its country, such as 886912345678"
                )
            external_id = number or external_id
        if any_form or int(channel) not in _CHANNELS or not is_person_id(channel, external_id):
            self._odd_id(f"{field}.external_id", channel, external_id, any_form=any_form)
        return IdentityKey(channel, account_id, external_id)

    def _odd_id(self, field: str, channel: int, external_id: str, *, any_form: bool) -> None:
        faults = len(self.violations)
        self.line(field, external_id)
        if not any_form and len(self.violations) == faults and int(channel) in _CHANNELS:
            self.fault(field, SAID[ChannelNumber(channel)])

    def customer(self, message: _Ref) -> tuple[UUID, UUID]:
        """Team and customer that a request is about."""
        return self.uuid("team_id", message.team_id), self.uuid("customer_id", message.customer_id)

    def customers(self, field: str, items: Sequence[_Ref]) -> list[tuple[UUID, UUID]]:
        """Team and customer of each item."""
        team_of: Callable[[str], UUID] = cache(DriverUUID)  # as a rule it is one team
        try:
            return [(team_of(item.team_id), DriverUUID(item.customer_id)) for item in items]
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


def local_numbers(identities: Iterable[customer_pb2.IdentityKey]) -> Iterator[str]:
    """Numbers on WhatsApp that it takes the team's country to read."""
    for identity in identities:
        text = identity.external_id
        if int(identity.channel) == ChannelNumber.WHATSAPP and not is_whatsapp_id(text) and not is_e164(text):
            yield text


def reason_number(reason: str) -> error_reason_pb2.ErrorReason.ValueType:
    """The number of a reason by its name; 0 for none."""
    if not reason:
        return error_reason_pb2.ERROR_REASON_UNSPECIFIED
    return error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}")


def error_line(error: DomainError) -> str:
    """A refusal in one line, for the answer to a single item."""
    faults = "; ".join(f"{violation.field} {violation.description}" for violation in error.violations)
    return faults or error.message
