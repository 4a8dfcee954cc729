"""Webhooks of the channels' platforms: signed by an account's secret, stored as they came and answered at once.

Nobody reads more of the answer than its status. What is wrong with one event stands beside the stored record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs
from uuid import UUID

import structlog
from aiohttp import web

from libs.common.clock import Clock
from libs.common.errors import DomainError, ResourceExhausted
from libs.common.logging import about
from services.channel_gateway.domain.heard import BodyFaultError
from services.channel_gateway.domain.inbox import InboxSource, Incoming
from services.channel_gateway.domain.line_hooks import line_events
from services.channel_gateway.domain.meta_hooks import Sender, Share, shares
from services.channel_gateway.domain.model import Account, ConnectionKind
from services.channel_gateway.domain.signing import is_same_text, is_signed_by_line, is_signed_by_meta
from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.bodies import ReadingRoom, apart, read
from services.channel_gateway.servicer.http.connections import Connection
from services.channel_gateway.servicer.http.head import HOOK_BYTES_MAX, Place, body_length
from services.channel_gateway.servicer.http.rates import Rates
from services.channel_gateway.servicer.http.storing import Storing
from services.channel_gateway.worker.heard_accounts import HeardAccounts

LINE_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
META_SIGNATURE: Final = re.compile(r"sha256=[0-9a-f]{64}")
CHALLENGE: Final = re.compile(r"[!-~]{1,200}")
_FIELDS_MAX: Final = 20
"""Fields of a query that are looked at."""
_LINE: Final = "x-line-signature"
_META: Final = "x-hub-signature-256"
_FORMS: Final = {_LINE: LINE_SIGNATURE, _META: META_SIGNATURE}
_HEADERS: Final = {
    ConnectionKind.LINE: _LINE,
    ConnectionKind.WHATSAPP: _META,
    ConnectionKind.MESSENGER: _META,
    ConnectionKind.INSTAGRAM: _META,
}

_NOBODYS: Final = "of nobody"
"""A secret that signs nothing."""

_log = structlog.get_logger(__name__)


class HookPlace(NamedTuple):
    """What a path names."""

    team_id: UUID
    account_id: UUID


class _Signed(NamedTuple):
    """A request that has a signature."""

    account: Account | None
    """None where there is none that could have signed it: nothing in the answer, nor in how it comes, tells that."""
    accounts: Mapping[UUID, Account]
    """All of the team's."""
    signature: str
    length: int | None


class ChannelHooks:
    """Takes webhooks of LINE, WhatsApp, Messenger and Instagram."""

    def __init__(
        self, *, storing: Storing, accounts: HeardAccounts, room: ReadingRoom, rates: Rates, clock: Clock
    ) -> None:
        """`accounts` have the secrets."""
        self._storing = storing
        self._accounts = accounts
        self._room = room
        self._rates = rates
        self._clock = clock

    async def answer(
        self, request: web.BaseRequest, connection: Connection, place: HookPlace
    ) -> web.Response:
        """The answer to a webhook, or to the question whether its address is meant. Raises RefusedError."""
        try:
            if request.method == "GET":
                return await self._greet(request, place)
            signed = await self._head(request, place)
            size = HOOK_BYTES_MAX if signed.length is None else signed.length
            async with self._room.hold(connection, size):
                return await self._take(signed, await read(request, connection, HOOK_BYTES_MAX))
        except ResourceExhausted as error:
            return answers.busy(error.message, error.retry_after_s)
        except DomainError as error:
            _log.warning("a channel's webhook could not be stored", error=str(error), **about(place))
            return answers.away("the webhook could not be stored", error.retry_after_s)

    async def _greet(self, request: web.BaseRequest, place: HookPlace) -> web.Response:
        """Meta asks, before it sends anything, whether whoever is here knows the token that was set there."""
        try:
            asked = parse_qs(request.raw_path.partition("?")[2], max_num_fields=_FIELDS_MAX)
        except ValueError:
            return answers.not_greeted()
        mode, token, challenge = (
            asked[name][0] if len(asked.get(name, ())) == 1 else ""
            for name in ("hub.mode", "hub.verify_token", "hub.challenge")
        )
        account = (await self._accounts.of(place.team_id)).get(place.account_id)
        expected = account.connection.verify_token if account is not None else ""
        if mode != "subscribe" or not expected or not is_same_text(token, expected):
            return answers.not_greeted()
        if not CHALLENGE.fullmatch(challenge):
            return answers.not_greeted()
        return answers.text_answer(challenge)

    async def _head(self, request: web.BaseRequest, place: HookPlace) -> _Signed:
        length = body_length(request, HOOK_BYTES_MAX)
        given = {name: _only(request, name) for name in _FORMS}
        if not any(given.values()):
            raise _unsigned()
        accounts = await self._accounts.of(place.team_id)
        account = accounts.get(place.account_id)
        signature = given.get(_HEADERS.get(account.connection.kind, ""), "") if account is not None else ""
        return _Signed(account if signature else None, accounts, signature, length)

    async def _take(self, signed: _Signed, body: bytes) -> web.Response:
        account = signed.account
        secrets = await apart(body, _fitting, account, signed.signature, body)
        if account is None or not secrets:
            return answers.unsigned_by_channel()
        rate = self._rates.take(Place(account.team_id, str(account.account_id)))
        if rate.retry_after_s is not None:
            message = "webhooks of the account come faster than their limit"
            return answers.busy(message, rate.retry_after_s, rate.headers)
        try:
            parts = await apart(body, _by_account, signed, secrets, body)
        except BodyFaultError as error:
            fault = error.fault
            return answers.refusal(400, fault.field, fault.message, fault.remedy)
        for account_id, share in parts:
            digest = await apart(share.body, _digest, share.body)
            await self._storing.put(self._incoming(account, account_id, share, digest))
        return answers.json_answer(200, {"events": sum(share.event_count for _, share in parts)})

    def _incoming(self, account: Account, account_id: UUID, share: Share, digest: bytes) -> Incoming:
        is_line = account.connection.kind is ConnectionKind.LINE
        source = InboxSource.LINE if is_line else InboxSource.META
        now = self._clock.now()
        return Incoming(
            account.team_id,
            source,
            str(account_id),
            digest.hex(),
            share.body,
            digest,
            share.event_count,
            now,
        )


def _fitting(account: Account | None, signature: str, body: bytes) -> list[str]:
    """Those of an account's secrets that signed a body. Where there is no account it takes as long as by one secret."""
    if account is None:
        is_signed_by_meta([_NOBODYS], signature, body)
        return []
    check = is_signed_by_line if account.connection.kind is ConnectionKind.LINE else is_signed_by_meta
    return [secret for secret in account.connection.secrets if secret and check([secret], signature, body)]


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()


def _by_account(signed: _Signed, secrets: list[str], body: bytes) -> list[tuple[UUID, Share]]:
    """What a body has for each account. Whoever has a secret may speak for all accounts that have it, and for no other.
    Raises BodyFaultError."""
    account = signed.account
    assert account is not None, "somebody signed it"
    if account.connection.kind is ConnectionKind.LINE:
        events = line_events(body)
        return [(account.account_id, Share(body, len(events)))] if events else []
    heard = {
        (_names_of(each), each.account_id)
        for each in (*signed.accounts.values(), account)
        if not set(secrets).isdisjoint(each.connection.secrets)
    }
    parts: list[tuple[UUID, Share]] = []
    unknown = 0
    for sender, share in shares(body).items():
        if sender.is_nobody:
            parts.append(
                (account.account_id, share)
            )  # whoever signed it can read there what is wrong with it
            continue
        named = [(account_id, share) for names, account_id in heard if sender in names]
        unknown += 0 if named else share.event_count
        parts += named
    if unknown:
        _log.warning("a webhook is for accounts that are not known here", events=unknown, **about(account))
    return parts


def _names_of(account: Account) -> frozenset[Sender]:
    """As what Meta names an account."""
    connection = account.connection
    names = {Sender(connection.kind, connection.sender_id)}
    if connection.kind is ConnectionKind.WHATSAPP and connection.owner_id:
        names.add(Sender(connection.kind, connection.owner_id, owns=True))
    return frozenset(names)


def _only(request: web.BaseRequest, name: str) -> str:
    """A well-formed signature; empty where there is none, or several."""
    values = request.headers.getall(name, [])
    return values[0] if len(values) == 1 and _FORMS[name].fullmatch(values[0]) else ""


def _unsigned() -> answers.RefusedError:
    return answers.RefusedError(answers.closing(answers.unsigned_by_channel()))
