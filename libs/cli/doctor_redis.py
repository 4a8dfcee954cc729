"""What the doctor finds at Redis or Valkey: the way to it, version, memory, clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

from redis.exceptions import RedisError, ResponseError

from libs.cli.doctor_database import skew
from libs.cli.findings import Finding, fault, warning, well
from libs.common.mailbox.owner import other_owner
from libs.common.mailbox.wire import connect

SUBJECT: Final = "Redis"
_VARIABLE: Final = "OMNIJOURNEY_REDIS_URL"
_APART: Final = (
    f"give each a Redis, or a database number of it, of its own ({_VARIABLE}); if the other is gone, or this database"
    " was restored from it, empty that Redis and start again"
)
VERSION_MIN: Final = 7
"""The first with functions."""
_FULL: Final = 0.8
_NODE_BYTES_MAX: Final = 512


async def look(url: str, installation: str = "") -> AsyncIterator[Finding]:
    """Looks at the server, or at the first node of a cluster; `installation` is whose mail it should hold, where that
    is known (`libs.common.db.installation`)."""
    client: Any = connect(url)
    try:
        said = await client.info()
        for finding in _server(said):
            yield finding
        for finding in await _settings(client):
            yield finding
        if installation and (where := await other_owner(client, installation)):
            yield fault(
                SUBJECT, f"it holds the mail of another installation, whose database is {where}", _APART
            )
        seconds, micros = await client.time()
        yield skew("Redis' clock", seconds + micros / 1e6)
    except (RedisError, OSError) as error:
        found = f"{urlsplit(url).netloc.rpartition('@')[2]} does not let us in ({error})"
        yield fault(SUBJECT, found, f"start it, or correct {_VARIABLE}")
    finally:
        await client.aclose()


def _server(said: dict[str, Any]) -> list[Finding]:
    name = "Valkey" if "valkey_version" in said else "Redis"
    version = str(said.get("valkey_version") or said["redis_version"])
    findings = []
    if int(version.partition(".")[0]) < VERSION_MIN:
        findings.append(
            fault(SUBJECT, f"{name} {version} is too old", f"upgrade it to {VERSION_MIN} or newer")
        )
    limit, used = int(said.get("maxmemory", 0)), int(said["used_memory"])
    if limit and used > limit * _FULL:
        found = f"{used / limit:.0%} of maxmemory is used"
        findings.append(warning(SUBJECT, found, "raise maxmemory, or lower OMNIJOURNEY_MAILBOX_MAILS_MAX"))
    return findings or [well(SUBJECT, f"{name} {version}, {used / 2**20:,.0f} MiB used")]


async def _settings(client: Any) -> list[Finding]:
    try:
        said: dict[str, str] = await client.config_get("maxmemory-policy", "stream-node-max-bytes")
    except ResponseError:
        remedy = "see to it that maxmemory-policy is noeviction"
        return [warning(SUBJECT, "its settings cannot be read (CONFIG is closed)", remedy)]
    said = {_text(name): _text(value) for name, value in said.items()}
    findings = []
    policy = said.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        found = f"maxmemory-policy is {policy}: mails of customers are thrown away when memory is short"
        findings.append(
            fault(SUBJECT, found, "CONFIG SET maxmemory-policy noeviction, and in its configuration")
        )
    if int(said.get("stream-node-max-bytes", 0)) > _NODE_BYTES_MAX:
        found = (
            f"stream-node-max-bytes is {said['stream-node-max-bytes']}: a mailbox of one mail takes kilobytes"
        )
        findings.append(warning(SUBJECT, found, f"CONFIG SET stream-node-max-bytes {_NODE_BYTES_MAX}"))
    return findings


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
