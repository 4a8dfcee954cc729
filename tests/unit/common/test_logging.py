"""Structured logs."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from libs.common.logging import setup_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configured)


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


def test_the_level_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("points", "warning")
    structlog.get_logger("own").info("unheard")
    structlog.get_logger("own").error("heard")
    assert [line["event"] for line in _read(capsys.readouterr().err)] == ["heard"]
