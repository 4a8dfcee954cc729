"""Whom the lines of an import mean: asked of segment for those that need it, some hundred at a time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.points.clients.segment import CustomerFinder
from services.points.domain.imports import Line, Match, Row, asks, row_of


async def match(finder: CustomerFinder, team_id: UUID, lines: Sequence[Line]) -> list[Row]:
    """A row for each line, in order. Raises Unavailable."""
    asking = [line for line in lines if asks(line)]
    hinted = [line for line in asking if line.given is None]
    found = await finder.find(team_id, [line.hints for line in hinted])
    matches = {line.row_number: match for line, match in zip(hinted, found, strict=True)}
    given = {line.row_number: line.given for line in asking if line.given is not None}
    on_whatsapp = await finder.on_whatsapp(team_id, sorted(set(given.values())))
    for number, customer_id in given.items():
        there = customer_id in on_whatsapp
        matches[number] = Match(customer_id if there else None, False, on_whatsapp.get(customer_id, False))
    return [row_of(line, matches.get(line.row_number)) for line in lines]
