"""Whom the lines of an import mean: asked of segment for those that need it, some hundred at a time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.points.clients.segment import CustomerFinder
from services.points.domain.imports import Line, Match, Row, asks, row_of


async def match(finder: CustomerFinder, team_id: UUID, lines: Sequence[Line]) -> list[Row]:
    """A row for each line, in order. Raises Unavailable."""
    asking = [line for line in lines if asks(line)]
    named = [line for line in asking if line.given is None]
    found = await finder.find(team_id, [line.hints for line in named])
    matches = {line.row_number: told for line, told in zip(named, found, strict=True)}
    given = {line.row_number: line.given for line in asking if line.given is not None}
    known = await finder.on_whatsapp(team_id, sorted(set(given.values())))
    for number, customer_id in given.items():
        there = customer_id in known
        matches[number] = Match(customer_id if there else None, False, known.get(customer_id, False))
    return [row_of(line, matches.get(line.row_number)) for line in lines]
