"""`omnijourney journey trigger --customer …`: single customers who are enrolled, with data for their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import typer

from libs.cli.answers import json_about
from libs.cli.console import EXIT_FAULT, complain, say
from libs.cli.journeys import Command, id_of
from libs.client import Client
from libs.common.ids import new_id
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb

_TIMEOUT_S: Final = 30.0
_CUSTOMERS_MAX: Final = 500
"""Of one call, as the contract says."""


def data_of(pairs: Iterable[str]) -> dict[str, str]:
    """Values by their keys, of pairs KEY=VALUE. Raises BadParameter."""
    data: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"--data {pair!r}: write KEY=VALUE")
        if key in data:
            raise typer.BadParameter(f"--data {key!r} is given twice")
        data[key] = value
    return data


def trigger(
    team_id: str, name: str, customers: Sequence[str], data: Mapping[str, str], *, as_json: bool = False
) -> Command:
    """Enrols customers, and writes of each the event's id, by which `explain` tells what became of it."""

    async def command(client: Client) -> int:
        journey_id = await id_of(client, team_id, name)
        items = [
            pb.SystemTriggerItem(
                request_id=str(new_id()), journey_id=journey_id, customer_id=customer, data=data
            )
            for customer in customers
        ]
        code = 0
        for first in range(0, len(items), _CUSTOMERS_MAX):
            batch = items[first : first + _CUSTOMERS_MAX]
            request = pb.TriggerJourneysRequest(team_id=team_id, items=batch)
            answer = await client.journey.TriggerJourneys(request, timeout=_TIMEOUT_S)
            for item, result in zip(batch, answer.results, strict=True):
                code = code if result.accepted else EXIT_FAULT
                if as_json:
                    say(json_about(result, customer_id=item.customer_id, event_id=item.request_id))
                elif result.accepted:
                    say(f"{item.customer_id}  {item.request_id}")
                else:
                    complain(f"{item.customer_id}: {_why(result)}")
        return code

    return command


def _why(result: pb.SystemTriggerResult) -> str:
    name = error_reason_pb2.ErrorReason.Name(result.reason).removeprefix("ERROR_REASON_")
    return f"{name}: {result.field} {result.message}"
