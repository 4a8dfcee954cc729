"""`omnijourney points check`: the laws of a team's ledger, or of every team's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
from rich.markup import escape

from libs.cli.answers import json_about
from libs.cli.console import EXIT_FAULT, out, refused, say
from libs.client import Client, ClientSettings
from omnijourney.points.v1.check_pb2 import CheckSummary, Finding, Invariant
from omnijourney.points.v1.points_service_pb2 import CheckLedgerRequest
from omnijourney.segment.v1.segment_service_pb2 import ListTeamsRequest

CHECK_TIMEOUT_S = 3_600.0
"""A whole check reads the whole ledger."""
_TIMEOUT_S = 10.0


async def check_points(
    settings: ClientSettings, team_id: str, *, incremental: bool, as_json: bool = False
) -> int:
    """Checks and prints; an empty `team_id` is every team. Returns the exit code: 1 for a broken law or a fault."""
    broken = 0
    async with Client(settings.targets(), settings.api_token(), tls=settings.tls_of_calls()) as client:
        try:
            async for team in _teams(client, team_id):
                broken += await _check(client, team, incremental=incremental, as_json=as_json)
        except grpc.aio.AioRpcError as error:
            return refused(error)
    return EXIT_FAULT if broken else 0


async def _teams(client: Client, team_id: str) -> AsyncIterator[str]:
    if team_id:
        yield team_id
        return
    request = ListTeamsRequest()
    while True:
        page = await client.segment.ListTeams(request, timeout=_TIMEOUT_S)
        for team in page.teams:
            yield team.team_id
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return


async def _check(client: Client, team_id: str, *, incremental: bool, as_json: bool) -> int:
    request = CheckLedgerRequest(team_id=team_id, incremental=incremental)
    summary = CheckSummary()
    async for piece in client.points.CheckLedger(request, timeout=CHECK_TIMEOUT_S):
        summary = piece.summary if piece.HasField("summary") else summary
        if as_json:
            say(json_about(piece, team_id=team_id))
        elif piece.HasField("finding"):
            _show(piece.finding)
    if as_json:
        return summary.findings
    mark = "[red]✗[/]" if summary.findings else "[green]✓[/]"
    out.print(
        f"{mark} team {team_id}: {summary.accounts:,} accounts, {summary.entries:,} entries,"
        f" {summary.outcomes:,} outcomes, {summary.orders:,} orders, {summary.findings:,} findings",
        highlight=False,
        soft_wrap=True,
    )
    return summary.findings


def _show(finding: Finding) -> None:
    law = Invariant.Name(finding.invariant).removeprefix("INVARIANT_")
    where = f" customer {finding.customer_id}" if finding.customer_id else ""
    where += f" entry {finding.sequence}" if finding.sequence else ""
    where += f" key {finding.key}" if finding.key else ""
    out.print(f"[red]{law}[/]{where}: {escape(finding.detail)}", highlight=False, soft_wrap=True)
