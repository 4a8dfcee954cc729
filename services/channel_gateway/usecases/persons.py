"""What the gateway holds of a person: erased with them, and read (ADR 59)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from libs.common.db.persons import erase_answers
from libs.common.persons import searched
from libs.common.rpc.persons import DONE, WAITS, Asked, Part, Person
from libs.common.stages import read_stage, write_stage
from services.channel_gateway.domain.consents import ConsentSource
from services.channel_gateway.domain.model import Channel, SendState
from services.channel_gateway.domain.persons import Wanted
from services.channel_gateway.store.persons import NO_ID, PersonStore
from services.channel_gateway.store.rows import parts_of

Key = Sequence[str]
Step = Callable[[Person, Asked, Key], Awaitable[Sequence[object] | None]]
"""Removes the next rows after a key; the last looked at, None at the end of its kind."""
_READ: Final = ("consents", "sends")


class GoesOnError(Exception):
    """A send to the person is on the wire: its outcome is waited for."""


class Persons:
    """See `libs.common.rpc.persons.Persons`."""

    def __init__(self, store: PersonStore) -> None:
        """Of the service."""
        self._store = store
        self._steps: Mapping[str, Step] = {
            "said": self._said,
            "sends": self._sends,
            "links": self._links,
            "webhooks": self._webhooks,
            "outgoing": self._outgoing,
            "answers": self._answers,
        }
        self._order = list(self._steps)

    async def settle(self, person: Person, asked: Asked) -> Part:
        """Webhooks that came before are worked off by those who do it anyway."""
        return WAITS if await self._store.has_webhooks(person.team_id, asked.began_at) else DONE

    async def remove(self, person: Person, asked: Asked, cursor: str) -> Part:
        """A page of one kind of rows."""
        stage, key = read_stage(cursor, self._order)
        try:
            last = await self._steps[stage](person, asked, key)
        except GoesOnError:
            return Part(cursor, waits=True)
        return Part(write_stage(stage, last, self._order))

    async def read(self, person: Person, cursor: str) -> tuple[Sequence[str], str]:
        """What they said of messages; then sends with their contents and clicks, of a page of the team's sends."""
        stage, key = read_stage(cursor, _READ)
        if stage == "consents":
            said = await self._store.consents(person.key, [str(person.customer_id), *person.identifiers])
            records = [_record("consent_change", _consent(row)) for row in said]
            return records, write_stage(stage, None, _READ)
        page = await self._store.sends(person.key, UUID(key[0]) if key else NO_ID)
        records = []
        if page.own:
            sends = await self._store.read_sends(person.team_id, page.own)
            clicks = await self._store.clicks(person.team_id, page.own)
            records = [_record("delivery", _send(row)) for row in sends]
            records += [_record("click", row) for row in clicks]
        return records, write_stage(stage, None if page.last is None else [page.last], _READ)

    async def _said(self, person: Person, _: Asked, __: Key) -> None:
        await self._store.remove(person.key, person.identifiers)

    async def _sends(self, person: Person, _: Asked, key: Key) -> Sequence[object] | None:
        page = await self._store.sends(person.key, UUID(key[0]) if key else NO_ID)
        if page.own:
            await self._store.blank_sends(person.team_id, page.own)
        if page.goes_on:
            raise GoesOnError
        return None if page.last is None else [page.last]

    async def _links(self, person: Person, _: Asked, key: Key) -> Sequence[object] | None:
        after = bytes.fromhex(key[0]) if key else b""
        last = await self._store.remove_targets(person.team_id, searched(person.identifiers), after)
        return None if last is None else [last.hex()]

    async def _webhooks(self, person: Person, asked: Asked, key: Key) -> Sequence[object] | None:
        source, origin, webhook_id = key or ("0", "", "")
        wanted = Wanted(person.identifiers)
        return await self._store.blank_webhooks(
            person.team_id, wanted, asked.began_at, (int(source), origin, webhook_id)
        )

    async def _outgoing(self, person: Person, _: Asked, key: Key) -> Sequence[object] | None:
        after = (UUID(key[0]), UUID(key[1])) if key else (NO_ID, NO_ID)
        return await self._store.remove_outgoing(person.team_id, searched(person.identifiers), after)

    async def _answers(self, person: Person, _: Asked, key: Key) -> Sequence[object] | None:
        wanted, after = searched(person.identifiers), key[0] if key else ""
        last = await erase_answers(self._store.pool, person.team_id, after, wanted)
        return None if last is None else [last]


def _record(kind: str, held: Mapping[str, Any]) -> str:
    return json.dumps({"kind": kind, **held}, default=str, ensure_ascii=False)


def _consent(row: Mapping[str, Any]) -> dict[str, Any]:
    channel = row["channel"]
    return {
        **row,
        "channel": Channel(channel).name if channel else "ALL",
        "source": ConsentSource(row["source"]).name,
    }


def _send(row: Mapping[str, Any]) -> dict[str, Any]:
    parts = [part.decode(errors="replace") for part in parts_of(row)] if row["parts"] else []
    return {
        **row,
        "channel": Channel(row["channel"]).name,
        "state": SendState(row["state"]).name,
        "parts": parts,
    }
