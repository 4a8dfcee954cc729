"""What points holds of a person: erased with them, and read (ADR 59). Figures stay."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.persons import erase_answers
from libs.common.persons import searched
from libs.common.rpc.persons import DONE, Asked, Part, Person
from libs.common.stages import read_stage, write_stage
from services.points.store.persons import NO_ID, PersonStore

Key = Sequence[str]
Step = Callable[[Person, Key], Awaitable[Sequence[object] | None]]
_READ: Final = ("claims", "entries")
_HIDDEN: Final = {"team_id", "customer_id", "hash"}


class Persons:
    """See `libs.common.rpc.persons.Persons`."""

    def __init__(self, store: PersonStore) -> None:
        """Of the service."""
        self._store = store
        self._steps: Mapping[str, Step] = {
            "copy": self._copy,
            "notes": self._notes,
            "lines": self._lines,
            "answers": self._answers,
        }
        self._order = list(self._steps)

    async def settle(self, person: Person, asked: Asked) -> Part:
        """Nothing goes on here."""
        return DONE

    async def remove(self, person: Person, asked: Asked, cursor: str) -> Part:
        """A page of one kind of rows."""
        stage, key = read_stage(cursor, self._order)
        return Part(write_stage(stage, await self._steps[stage](person, key), self._order))

    async def read(self, person: Person, cursor: str) -> tuple[Sequence[str], str]:
        """Claims, then entries."""
        stage, key = read_stage(cursor, _READ)
        if stage == "claims":
            claims = await self._store.claims(person.key)
            return [_record("coupon_claim", each) for each in claims], write_stage(stage, None, _READ)
        entries = await self._store.entries(person.key, int(key[0]) if key else 0)
        records = [_record("points_entry", msgspec.structs.asdict(each)) for each in entries]
        return records, write_stage(stage, [entries[-1].sequence] if entries else None, _READ)

    async def _copy(self, person: Person, _: Key) -> None:
        await self._store.delete_copy(person.key)

    async def _notes(self, person: Person, _: Key) -> None:
        await self._store.erase_notes(person.key)

    async def _lines(self, person: Person, key: Key) -> Sequence[object] | None:
        after = (UUID(key[0]), int(key[1])) if key else (NO_ID, 0)
        return await self._store.blank_lines(person.key, searched(person.identifiers), after)

    async def _answers(self, person: Person, key: Key) -> Sequence[object] | None:
        wanted, after = searched(person.identifiers), key[0] if key else ""
        last = await erase_answers(self._store.pool, person.team_id, after, wanted)
        return None if last is None else [last]


def _record(kind: str, held: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in held.items() if name not in _HIDDEN}
    return json.dumps({"kind": kind, **shown}, default=str, ensure_ascii=False)
