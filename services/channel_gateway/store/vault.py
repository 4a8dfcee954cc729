"""Secrets of accounts and shops, sealed into their rows and opened out of them.

A row of the release before holds its secrets in clear. Where a row has both, what is in clear counts: only a process of
that release can have written it, and it is newer.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import structlog

from libs.common.sealing import CannotOpen, KeyRing, place
from services.channel_gateway import metrics
from services.channel_gateway.domain.model import Account, AccountState
from services.channel_gateway.domain.views import ShopKey
from services.channel_gateway.domain.webhooks_out import SigningKey, Subscription, SubscriptionState
from services.channel_gateway.store.rows import Row, account_of, json_of

_log = structlog.get_logger(__name__)


class _Secrets(msgspec.Struct, frozen=True):
    """What is sealed of a connection, as JSON."""

    access_token: str = ""
    secrets: tuple[str, ...] = ()
    verify_token: str = ""


_SECRETS: Final = msgspec.json.Decoder(_Secrets)
_NONE: Final = _Secrets()


class SealedConnection(NamedTuple):
    """A connection as it is stored."""

    connection: str
    """JSON, without secrets."""
    sealed: bytes | None
    """The secrets; None: it has none."""


class Vault:
    """Seals and opens. What cannot be opened is its own row's trouble: it is logged, and the row is of no use."""

    def __init__(self, ring: KeyRing) -> None:
        """`ring` of the installation."""
        self._ring = ring

    @property
    def ring(self) -> KeyRing:
        """The keys."""
        return self._ring

    def sealed_connection(self, account: Account) -> SealedConnection:
        """An account's connection to be stored."""
        connection = account.connection
        kept = _Secrets(connection.access_token, connection.secrets, connection.verify_token)
        bare = msgspec.structs.replace(connection, access_token="", secrets=(), verify_token="")
        if kept == _NONE:
            return SealedConnection(json_of(bare), None)
        sealed = self._ring.seal(msgspec.json.encode(kept), _of_account(account.team_id, account.account_id))
        return SealedConnection(json_of(bare), sealed)

    def account_of(self, row: Row) -> Account:
        """An account, secrets included; unusable where they cannot be opened."""
        return self.opened_account_of(row) or self._shut(account_of(row))

    def opened_account_of(self, row: Row) -> Account | None:
        """An account, secrets included; None where they cannot be opened."""
        account = account_of(row)
        if row["sealed"] is None:
            return account
        try:
            text = self._ring.open(row["sealed"], _of_account(account.team_id, account.account_id))
        except CannotOpen as error:
            self._note("account", account.account_id, error)
            return None
        secrets = _SECRETS.decode(text)
        clear = account.connection
        connection = msgspec.structs.replace(
            clear,
            access_token=clear.access_token or secrets.access_token,
            secrets=clear.secrets or secrets.secrets,
            verify_token=clear.verify_token or secrets.verify_token,
        )
        return msgspec.structs.replace(account, connection=connection)

    def bare_account_of(self, row: Row) -> Account:
        """An account without secrets."""
        account = account_of(row)
        bare = msgspec.structs.replace(account.connection, access_token="", secrets=(), verify_token="")
        return msgspec.structs.replace(account, connection=bare)

    def _shut(self, account: Account) -> Account:
        # A token in clear beside it was written by a process of the release before, and serves.
        shut = account.connection.access_token == ""
        return msgspec.structs.replace(
            account,
            state=AccountState.UNUSABLE if shut else account.state,
            state_reason="its secrets cannot be opened: give them again" if shut else account.state_reason,
            secrets_shut=shut,
        )

    def sealed_key(self, key: ShopKey) -> bytes:
        """A shop's key to be stored."""
        return self._ring.seal(key.secret, _of_key(key.team_id, key.shop_id, key.key_id))

    def key_of(self, row: Row) -> ShopKey:
        """A shop's key; empty where it cannot be opened."""
        secret = row["secret"]
        if secret is None:
            try:
                secret = self._ring.open(
                    row["sealed"], _of_key(row["team_id"], row["shop_id"], row["key_id"])
                )
            except CannotOpen as error:
                self._note("shop key", row["key_id"], error)
                secret = b""
        return ShopKey(
            row["team_id"], row["shop_id"], row["key_id"], secret, row["created_at"], row["expires_at"]
        )

    def sealed_subscription_keys(self, subscription: Subscription) -> bytes:
        """A subscription's keys to be stored."""
        place_of = _of_subscription(subscription.team_id, subscription.subscription_id)
        return self._ring.seal(msgspec.json.encode(subscription.keys), place_of)

    def subscription_of(self, row: Row) -> Subscription:
        """A subscription; without keys where they cannot be opened."""
        try:
            text = self._ring.open(row["sealed"], _of_subscription(row["team_id"], row["subscription_id"]))
            keys = _KEYS.decode(text)
        except CannotOpen as error:
            self._note("webhook subscription", row["subscription_id"], error)
            keys = ()
        return Subscription(
            row["team_id"],
            row["subscription_id"],
            row["url"],
            tuple(row["event_types"]),
            SubscriptionState(row["state"]),
            keys,
            row["created_at"],
            row["updated_at"],
            row["version"],
        )

    def sealed_link_key(self, key: bytes) -> bytes:
        """The key of link tokens to be stored."""
        return self._ring.seal(key, _OF_LINK_KEY)

    def link_key(self, sealed: bytes) -> bytes:
        """The key of link tokens. Raises CannotOpen."""
        return self._ring.open(sealed, _OF_LINK_KEY)

    def _note(self, kind: str, row_id: UUID, error: CannotOpen) -> None:
        metrics.UNOPENED.labels(kind).inc()
        _log.error("a secret cannot be opened", kind=kind, id=str(row_id), error=str(error))


_KEYS: Final = msgspec.json.Decoder(tuple[SigningKey, ...])


def _of_subscription(team_id: UUID, subscription_id: UUID) -> bytes:
    return place("channel_gateway.webhook_subscription.sealed", team_id, subscription_id)


_OF_LINK_KEY: Final = place("channel_gateway.link_key.sealed")


def _of_account(team_id: UUID, account_id: UUID) -> bytes:
    return place("channel_gateway.account.sealed", team_id, account_id)


def _of_key(team_id: UUID, shop_id: str, key_id: UUID) -> bytes:
    return place("channel_gateway.shop_key.sealed", team_id, key_id, shop_id)
