"""Proto ⇄ domain for accounts. Pure; collects every fault of a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from libs.common.text import trimmed
from omnijourney.channel_gateway.v1 import account_pb2
from services.channel_gateway.domain.model import Account, Connection, ConnectionKind

NAME_MAX: Final = 100
ID_MAX: Final = 64
SECRET_MAX: Final = 4_000
SECRETS_MAX: Final = 4
_ID: Final = re.compile(r"[0-9A-Za-z_-]+")


def connection_of(
    check: FieldCheck, path: str, message: account_pb2.ChannelAccount, *, is_new: bool
) -> Connection:
    """How an account is reached. Secrets may be empty here, and unless it is new, ids, too: an update keeps those it
    has."""
    least = int(is_new)
    match message.WhichOneof("connection"):
        case "line":
            line = message.line
            return Connection(
                ConnectionKind.LINE,
                owner_id=_id(check, f"{path}.line.channel_id", line.channel_id),
                bot_user_id=_id(check, f"{path}.line.bot_user_id", line.bot_user_id),
                access_token=_secret(check, f"{path}.line.access_token", line.access_token),
                secrets=_secrets(check, f"{path}.line.channel_secrets", line.channel_secrets),
            )
        case "whatsapp":
            whatsapp = message.whatsapp
            return Connection(
                ConnectionKind.WHATSAPP,
                sender_id=_id(
                    check, f"{path}.whatsapp.phone_number_id", whatsapp.phone_number_id, least=least
                ),
                owner_id=_id(check, f"{path}.whatsapp.waba_id", whatsapp.waba_id),
                access_token=_secret(check, f"{path}.whatsapp.access_token", whatsapp.access_token),
                secrets=_secrets(check, f"{path}.whatsapp.app_secrets", whatsapp.app_secrets),
                verify_token=_secret(check, f"{path}.whatsapp.verify_token", whatsapp.verify_token),
            )
        case "messenger":
            messenger = message.messenger
            return Connection(
                ConnectionKind.MESSENGER,
                sender_id=_id(check, f"{path}.messenger.page_id", messenger.page_id, least=least),
                access_token=_secret(check, f"{path}.messenger.access_token", messenger.access_token),
                secrets=_secrets(check, f"{path}.messenger.app_secrets", messenger.app_secrets),
                verify_token=_secret(check, f"{path}.messenger.verify_token", messenger.verify_token),
            )
        case "instagram":
            instagram = message.instagram
            return Connection(
                ConnectionKind.INSTAGRAM,
                sender_id=_id(check, f"{path}.instagram.instagram_id", instagram.instagram_id, least=least),
                owner_id=_id(check, f"{path}.instagram.page_id", instagram.page_id),
                access_token=_secret(check, f"{path}.instagram.access_token", instagram.access_token),
                secrets=_secrets(check, f"{path}.instagram.app_secrets", instagram.app_secrets),
                verify_token=_secret(check, f"{path}.instagram.verify_token", instagram.verify_token),
            )
        case "sink":
            return Connection(ConnectionKind.SINK)
        case _:
            check.fault(f"{path}.connection", "is required")
            return Connection(ConnectionKind.SINK)


def _id(check: FieldCheck, field: str, text: str, *, least: int = 0) -> str:
    """An id that the channel gave; without blanks around it, with which people copy them. It becomes a part of
    addresses."""
    found = check.text(field, trimmed(text), length_max=ID_MAX, length_min=least)
    if found and not _ID.fullmatch(found):
        check.fault(field, "must be the id as the channel shows it, of letters and digits")
    return found


def _secret(check: FieldCheck, field: str, text: str, *, least: int = 0) -> str:
    """A token or secret; without what people copy along with it, with which it would open and sign nothing."""
    found = check.text(field, trimmed(text), length_max=SECRET_MAX, length_min=least)
    if not found.isprintable():
        check.fault(field, "must be one line without control characters")
    return found


def _secrets(check: FieldCheck, field: str, texts: Sequence[str]) -> tuple[str, ...]:
    check.count(field, texts, most=SECRETS_MAX)
    # Anybody could sign with an empty one.
    return tuple(_secret(check, f"{field}[{index}]", text, least=1) for index, text in enumerate(texts))


def account_message(account: Account) -> account_pb2.ChannelAccount:
    """An account without its secrets."""
    message = account_pb2.ChannelAccount(
        channel_account_id=str(account.account_id),
        team_id=str(account.team_id),
        channel=int(account.channel),  # type: ignore[arg-type]  # the enums have the same numbers
        display_name=account.display_name,
        state=int(account.state),  # type: ignore[arg-type]  # the enums have the same numbers
        state_reason=account.state_reason,
        rate_per_second=account.rate_per_second,
        concurrency_max=account.concurrency_max,
        create_time=timestamp(account.created_at),
        update_time=timestamp(account.updated_at),
        etag=str(account.version),
    )
    connection = account.connection
    match connection.kind:
        case ConnectionKind.LINE:
            message.line.channel_id = connection.owner_id
            message.line.bot_user_id = connection.bot_user_id
            message.line.SetInParent()
        case ConnectionKind.WHATSAPP:
            message.whatsapp.phone_number_id = connection.sender_id
            message.whatsapp.waba_id = connection.owner_id
        case ConnectionKind.MESSENGER:
            message.messenger.page_id = connection.sender_id
        case ConnectionKind.INSTAGRAM:
            message.instagram.instagram_id = connection.sender_id
            message.instagram.page_id = connection.owner_id
        case ConnectionKind.SINK:
            message.sink.SetInParent()
    return message
