"""`omnijourney customer merge|conflicts`: people who are one, and pairs who may be."""

from __future__ import annotations

import asyncio
from typing import Final

from libs.cli.answers import json_of, tell
from libs.cli.console import EXIT_FAULT, say
from libs.cli.journeys import TIMEOUT_S, Command
from libs.cli.listings import at_most
from libs.client import Client
from libs.client.paging import items
from libs.common.ids import new_id
from omnijourney.common.v1 import operation_pb2
from omnijourney.segment.v1 import operation_pb2 as merge_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb

_LOOK_EVERY_S: Final = 0.5
_WAIT_S: Final = 60.0


def merge(team_id: str, survivor_id: str, loser_id: str, *, as_json: bool = False) -> Command:
    """Merges two customers, and waits for a minute at most until it is done."""

    async def command(client: Client) -> int:
        request = pb.MergeCustomersRequest(
            team_id=team_id, request_id=str(new_id()), survivor_id=survivor_id, loser_id=loser_id
        )
        started = await client.segment.MergeCustomers(request, timeout=TIMEOUT_S)
        merge_id = started.customer_merge.customer_merge_id
        asked = pb.GetCustomerMergeRequest(team_id=team_id, customer_merge_id=merge_id)
        for _ in range(int(_WAIT_S / _LOOK_EVERY_S)):
            found = (await client.segment.GetCustomerMerge(asked, timeout=TIMEOUT_S)).customer_merge
            if found.operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED:
                tell(found, f"{loser_id} is {survivor_id}", as_json=as_json)
                return 0
            await asyncio.sleep(_LOOK_EVERY_S)
        step = merge_pb2.MergeStep.Name(found.step).removeprefix("MERGE_STEP_")
        tell(found, f"merge {merge_id} goes on: it is at {step}", as_json=as_json)
        return EXIT_FAULT

    return command


def conflicts(team_id: str, limit: int = 0, *, as_json: bool = False) -> Command:
    """Lists pairs that are not settled; 0 is no limit."""

    async def command(client: Client) -> int:
        request = pb.ListIdentityConflictsRequest(team_id=team_id, page_size=500)
        listed = items(
            client.segment.ListIdentityConflicts, request, "identity_conflicts", timeout_s=TIMEOUT_S
        )
        shown = 0
        async for each in at_most(limit, (each async for each in listed if not each.resolved)):
            shown += 1
            named = f"{each.customer_id} by {each.matched_field}"
            other = f"{each.other_customer_id} by {each.other_matched_field}"
            say(json_of(each) if as_json else f"{each.identity_conflict_id}  {named}, {other}")
        if not shown and not as_json:
            say("no pair is open")
        return 0

    return command


def settle(team_id: str, conflict_id: str, *, as_json: bool = False) -> Command:
    """Settles a pair: they are two people."""

    async def command(client: Client) -> int:
        request = pb.ResolveIdentityConflictRequest(
            team_id=team_id, request_id=str(new_id()), identity_conflict_id=conflict_id
        )
        answer = await client.segment.ResolveIdentityConflict(request, timeout=TIMEOUT_S)
        settled = answer.identity_conflict
        line = f"{settled.customer_id} and {settled.other_customer_id} are two people"
        tell(settled, line, as_json=as_json)
        return 0

    return command
