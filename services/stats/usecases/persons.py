"""What stats holds of a person: erased with them, and read (ADR 59). Figures stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from libs.common.db.persons import erase_answers
from libs.common.persons import searched
from libs.common.rpc.persons import DONE, Asked, Part, Person
from libs.common.stages import read_stage, write_stage
from services.stats.store.persons import PersonStore

_STAGES: Final = ("clicks", "answers")


class Persons:
    """See `libs.common.rpc.persons.Persons`."""

    def __init__(self, store: PersonStore) -> None:
        """Of the service."""
        self._store = store

    async def settle(self, person: Person, asked: Asked) -> Part:
        """Nothing goes on here."""
        return DONE

    async def remove(self, person: Person, asked: Asked, cursor: str) -> Part:
        """The clicks, then answers."""
        stage, key = read_stage(cursor, _STAGES)
        last: list[str] | None = None
        if stage == "clicks":
            await self._store.delete_clicks(person.key)
        else:
            wanted, after = searched(person.identifiers), key[0] if key else ""
            found = await erase_answers(self._store.pool, person.team_id, after, wanted)
            last = None if found is None else [found]
        return Part(write_stage(stage, last, _STAGES))

    async def read(self, person: Person, cursor: str) -> tuple[Sequence[str], str]:
        """The clicks by which orders are attributed."""
        clicks = await self._store.clicks(person.key)
        records = [
            json.dumps({"kind": "attributable_click", **each}, default=str, ensure_ascii=False)
            for each in clicks
        ]
        return records, ""
