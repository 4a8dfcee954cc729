"""The audit log: `platform.audit_entry`, which services add to and change nothing in."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from google.protobuf.message import Message

from libs.common.audit import NOBODY, Entry, entry_of, is_audited, recording, teams_of
from libs.common.callers import caller
from libs.common.db.pool import Connection, Pool, fetch_alone
from libs.common.ids import new_id

_ADD: Final = """
INSERT INTO platform.audit_entry (team_id, audit_entry_id, actor, client_id, method, request_id, resource_type,
                                  resource_id, fields, before, after, cut)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_ADD_ALONE: Final = "SELECT platform.add_audit_entries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
# One round trip for both, in the transaction of the write.
_ANSWER: Final = (
    "WITH answered AS (UPDATE request_log SET answer = $13 WHERE team_id = $1 AND request_id = $14)"
)
_ANSWER_AND_ADD: Final = _ANSWER + _ADD


def values_of(team_id: UUID, entry: Entry) -> tuple[Any, ...]:
    """The row of an entry of the present caller."""
    who = caller()
    return (team_id, new_id(), who.name, who.client_id, *entry)


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
                _, _, *values = values_of(NOBODY, entry_of(request, answer, running))
                await fetch_alone(self._pool, _ADD_ALONE, team_ids, [new_id() for _ in team_ids], *values)


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
            await connection.execute(_ADD, *values_of(team_id, entry_of(request, answer, running)))


async def answer_with_entry(
    connection: Connection, scope: UUID, request_id: str, answer: bytes, entry: Entry
) -> None:
    """Keeps the answer of a write, and its entry, in the write's own transaction."""
    await connection.execute(_ANSWER_AND_ADD, *values_of(scope, entry), answer, request_id)
