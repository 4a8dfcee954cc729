"""Saved audiences that audiences name, read as they are now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from libs.common.audience.expressions import Expression
from libs.common.audience.memberships import expanded, named_audiences
from libs.common.audience.reading import read_audience
from libs.common.db.pool import Connection, Pool, transaction
from omnijourney.segment.v1 import audience_pb2
from services.segment.domain.views import SavedAudience
from services.segment.store.audiences import reached_audiences

Saved = Mapping[str, Expression]
"""Saved audiences of one team, by their ids."""
TeamExpression = tuple[UUID, int]
"""A team, and the `id` of an expression."""


def read_saved(audiences: Iterable[SavedAudience]) -> dict[str, Expression]:
    """As far as they can be read: what an older release saved may be beyond what is allowed by now."""
    found: dict[str, Expression] = {}
    for each in audiences:
        reading = read_audience(audience_pb2.Audience.FromString(each.audience))
        if not reading.faults:
            found[str(each.audience_id)] = reading.expression
    return found


async def reached(connection: Connection, team_id: UUID, expressions: Collection[Expression]) -> Saved:
    """The saved audiences that some of a team name, be it through others. The transaction is bound to the team."""
    named = set().union(*map(named_audiences, expressions))
    if not named:
        return {}
    found = await reached_audiences(connection, [(team_id, UUID(each)) for each in named])
    return read_saved(saved for _, saved in found)


async def expand_all(
    pool: Pool, asked: Mapping[TeamExpression, Expression]
) -> dict[TeamExpression, Expression]:
    """Each audience with what it names in its place; those of all teams are read in one statement."""
    named = {
        (team_id, UUID(each))
        for (team_id, _), expression in asked.items()
        for each in named_audiences(expression)
    }
    async with transaction(pool, {team_id for team_id, _ in asked}) as connection:
        rows = await reached_audiences(connection, named)
    of_team: defaultdict[UUID, list[SavedAudience]] = defaultdict(list)
    for team_id, saved in rows:
        of_team[team_id].append(saved)
    read = {team_id: read_saved(saved) for team_id, saved in of_team.items()}
    return {key: expanded(expression, read.get(key[0], {})) for key, expression in asked.items()}
