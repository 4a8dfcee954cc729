"""`omnijourney doctor`: looks at everything that an installation stands on, and says what to do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from libs.cli import doctor_database, doctor_machine, doctor_redis, doctor_services
from libs.cli.console import EXIT_FAULT, say
from libs.cli.findings import Finding, State, warning
from libs.client import Client, ClientSettings
from libs.common import credentials
from libs.embedded.datadir import DataDir
from libs.supervisor import InstallationSettings

_SIGNS: Final = {State.OK: "✓", State.WARNING: "!", State.FAULT: "✗"}


async def show_findings(
    installation: InstallationSettings, client: ClientSettings, *, accounts: bool, as_json: bool
) -> int:
    """Prints what is found, as it is found. Returns the exit code: 1 where something has to be mended."""
    worst = 0
    async for finding in look(installation, client, accounts=accounts):
        if finding.state is State.FAULT:
            worst = EXIT_FAULT
        say(json.dumps(dataclasses.asdict(finding), ensure_ascii=False) if as_json else _lines(finding))
    return worst


async def look(
    installation: InstallationSettings, client: ClientSettings, *, accounts: bool
) -> AsyncIterator[Finding]:
    """All findings: this machine, PostgreSQL, Redis, the services and, if wanted, the channel accounts."""
    data_dir = installation.data_dir
    for finding in doctor_machine.look(data_dir):
        yield finding
    published = DataDir(data_dir.absolute()).published()
    dsn = installation.postgres_dsn.get_secret_value() or (published.postgres_dsn if published else "")
    redis_url = installation.redis_url.get_secret_value() or (published.redis_url if published else "")
    if dsn:
        async for finding in doctor_database.look(dsn, _credentials_of(data_dir)):
            yield finding
    else:
        yield _unknown(doctor_database.SUBJECT, "OMNIJOURNEY_POSTGRES_DSN", installation)
    if redis_url:
        async for finding in doctor_redis.look(redis_url, await doctor_database.installation(dsn)):
            yield finding
    else:
        yield _unknown(doctor_redis.SUBJECT, "OMNIJOURNEY_REDIS_URL", installation)
    async with Client(client.targets(), client.api_token(), tls=client.tls_of_calls()) as opened:
        async for finding in doctor_services.look(opened, accounts=accounts):
            yield finding


def _credentials_of(data_dir: Path) -> list[Path]:
    """The files of the services, without the tools'."""
    found = sorted((data_dir / credentials.FOLDER).glob("*.env"))
    return [file for file in found if file.stem != credentials.TOOLS]


def _unknown(subject: str, variable: str, installation: InstallationSettings) -> Finding:
    found = f"{variable} is not set, and none runs in {installation.data_dir}"
    return warning(subject, found, f"set {variable}, or start one with `omnijourney up`")


def _lines(finding: Finding) -> str:
    line = f"{_SIGNS[finding.state]} {finding.subject}: {finding.found}"
    return f"{line}\n    → {finding.remedy}" if finding.remedy else line
