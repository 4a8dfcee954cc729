"""The audit log: `platform.audit_entry`, which services add to and change nothing in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from libs.common.audit import Entry, entry_of, is_audited, recording, teams_of
from libs.common.callers import caller
from libs.common.db.book import BOOK
from libs.common.db.pool import Connection, Pool, fetch_alone
from libs.common.ids import new_id


def _row(entry: Entry) -> dict[str, Any]:
    """The columns of an entry of the present caller, but for team and id."""
    who = caller()
    return {"actor": who.name, "client_id": who.client_id, **entry._asdict()}


class AuditLog:
    """Writes the entries of calls that nothing else has written any for."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def note(self, request: Message, answer: Message) -> None:
        """Writes the entry of a call that is about to be answered, one for each team that it names, that there is, and
        that its caller sees: items of others were refused.

        Raises what `fetch_alone` raises.
        """
        with recording() as running:
            if running.settled or not is_audited(caller()):
                return
            running.settled = True
            team_ids = [team_id for team_id in teams_of(request) if _sees(team_id)]
            if team_ids:
                # One entry for all: of which teams there are the statement asks itself.
                ids = [new_id() for _ in team_ids]
                row = _row(entry_of(request, answer, running))
                query = BOOK.bind("add_audit_entries", team_ids=team_ids, audit_entry_ids=ids, **row)
                await fetch_alone(self._pool, *query)


def _sees(team_id: UUID) -> bool:
    """A client of one team leaves no entry of none."""
    found = caller()
    return found.team_id in (None, team_id)


async def note_with(connection: Connection, team_id: UUID, request: Message, answer: Message) -> None:
    """Writes the entry of the running call in the transaction of its change, where one is due.

    Whoever commits that transaction settles the recording then: one that is rolled back leaves nothing.
    """
    with recording() as running:
        if not running.settled and is_audited(caller()):
            row = _row(entry_of(request, answer, running))
            query = BOOK.bind("add_audit_entry", team_id=team_id, audit_entry_id=new_id(), **row)
            await connection.execute(*query)


async def answer_with_entry(connection: Connection, scope: UUID, answer: bytes, entry: Entry) -> None:
    """Keeps the answer of a write, and its entry, in the write's own transaction."""
    values = {"team_id": scope, "audit_entry_id": new_id(), "answer": answer, **_row(entry)}
    await connection.execute(*BOOK.bind("answer_request_with_entry", **values))
