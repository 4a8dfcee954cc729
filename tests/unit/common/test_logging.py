"""Structured logs."""

import json
import logging
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest
import structlog

from libs.common.logging import about, setup_logging


def _read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_own_and_foreign_loggers_write_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("points")
    structlog.get_logger("own").info("posted", count=3, team_id="t")
    logging.getLogger("foreign").warning("slow %s", "query")
    logging.getLogger("foreign").debug("unheard")
    own, foreign = _read(capsys.readouterr().err)
    assert (own["event"], own["count"], own["service"], own["level"]) == ("posted", 3, "points", "info")
    assert (foreign["event"], foreign["logger"], foreign["service"]) == ("slow query", "foreign", "points")
    assert own["timestamp"].endswith("Z")


def test_secrets_are_blanked_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("points")
    log = structlog.get_logger("own")
    log.info("a", access_token="t0p", postgres_dsn="t0p", nested={"Authorization": "t0p", "n": 1})
    log.info("cannot reach postgresql://admin:t0p@db:5432/x")
    log.info("b", header="Bearer t0p", many=["redis://:t0p@h"])
    try:
        raise ConnectionError("redis://default:t0p@h refused")
    except ConnectionError:
        log.exception("c")
    text = capsys.readouterr().err
    assert "t0p" not in text
    assert "postgresql://admin:[hidden]@db:5432/x" in text
    assert "ConnectionError" in text
    assert _read(text)[0]["nested"]["n"] == 1


class Sent(NamedTuple):
    """What has ids, and more."""

    team_id: UUID
    customer_id: UUID
    enrolment_id: UUID
    effect_key: UUID
    recipient: str
    trace: bytes | None


@pytest.mark.rule("X-04a", "X-04b")
def test_a_line_names_whom_it_is_about_by_ids_and_the_trace_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    setup_logging("channel_gateway")
    ids = [UUID(int=number) for number in range(1, 5)]
    team, customer, enrolment, key = ids
    sent = Sent(team, customer, enrolment, key, "+886912345678", bytes(range(1, 25)))
    log = structlog.get_logger("own")
    log.error("a send cannot be written", reason="UNBOUND", **about(sent))
    log.error("a team's", **about(team_id=ids[0]))
    log.error("untraced", **about(sent._replace(trace=None)))
    traced, of_team, untraced = _read(capsys.readouterr().err)
    named = dict(zip(("team_id", "customer_id", "enrolment_id", "effect_key"), map(str, ids), strict=True))
    said = {"event", "level", "logger", "timestamp", "service", "reason", "trace_id"}
    assert traced.keys() == said | named.keys()
    assert named.items() <= traced.items()
    assert traced["trace_id"] == bytes(range(1, 17)).hex()
    assert of_team["team_id"] == str(ids[0])
    assert named.items() <= untraced.items()
    assert "trace_id" not in untraced


@pytest.mark.rule("X-04a")
def test_a_row_that_the_database_refuses_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("segment")
    error = asyncpg.UniqueViolationError('duplicate key value violates unique constraint "customer_by_phone"')
    error.detail = "Key (team_id, phone)=(…01, +886912345678) already exists.\\nMei, Ann"
    log = structlog.get_logger("own")
    log.warning("a", error=str(error))
    log.warning("b", error=repr(str(error)))
    try:
        raise error
    except asyncpg.UniqueViolationError:
        log.exception("c")
    text = capsys.readouterr().err
    assert "+886912345678" not in text
    assert "Mei" not in text
    assert text.count("customer_by_phone") == 3
    assert text.count("[hidden]") == 3


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("points", "warning")
    structlog.get_logger("own").info("unheard")
    structlog.get_logger("own").error("heard")
    assert [line["event"] for line in _read(capsys.readouterr().err)] == ["heard"]
