"""The LINE emulator over HTTP."""

import io
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.emulators.config import EmulatorSettings
from libs.emulators.journal import read_journal
from libs.emulators.server import Running, running

USER = "U" + "0" * 31 + "2"
KEY = "123e4567-e89b-12d3-a456-426614174000"


class Line:
    """The calls of an adapter and of an operator."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def push(
        self, text: str = "hi", to: str = USER, key: str | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        body = {"to": to, "messages": [{"type": "text", "text": text}]}
        if key is not None:
            headers["X-Line-Retry-Key"] = key
        url = f"{self.url}/v2/bot/message/push"
        async with self.http.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(), dict(answer.headers)

    async def post(self, path: str, body: Any, **options: Any) -> tuple[int, Any]:
        async with self.http.post(self.url + path, json=body, **options) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.get(self.url + path, **options) as answer:
            return answer.status, await answer.json()


@pytest.fixture
def line(http: aiohttp.ClientSession, emulators: Running) -> Line:
    """The emulator that runs."""
    return Line(http, emulators.urls["line"])


async def test_a_push_is_answered_and_written_down(line: Line, tmp_path: Path) -> None:
    status, answer, headers = await line.push("你好", key=KEY)
    assert status == 200
    [record] = read_journal(tmp_path / "line.jsonl")
    assert record["id"] == answer["sentMessages"][0]["id"]
    assert record["request_id"] == headers["X-Line-Request-Id"]
    assert (record["recipient"], record["retry_key"]) == (USER, KEY)
    assert record["body"]["messages"] == [{"type": "text", "text": "你好"}]


async def test_who_has_no_token_is_refused(line: Line) -> None:
    headers = {"Authorization": "Bearer wrong"}
    status, answer = await line.post("/v2/bot/message/push", {}, headers=headers)
    assert status == 401
    assert answer["message"].startswith("Authentication failed")


async def test_faulty_bodies_are_refused_with_details(line: Line, tmp_path: Path) -> None:
    status, answer = await line.post("/v2/bot/message/push", {"to": USER, "messages": [{"type": "text"}]})
    assert status == 400
    assert answer["message"] == "The request body has 1 error(s)"
    assert answer["details"] == [{"message": "May not be empty", "property": "messages[0].text"}]
    async with line.http.post(
        f"{line.url}/v2/bot/message/push", data=b"{", headers={"Content-Type": "application/json"}
    ) as broken:
        assert broken.status == 400
        assert "could not be parsed" in (await broken.json())["message"]
    large = io.BytesIO(b"[" + b" " * (3 << 20) + b"]")
    async with line.http.post(
        f"{line.url}/v2/bot/message/push", data=large, headers={"Content-Type": "application/json"}
    ) as refused:
        assert refused.status == 413
    assert list(read_journal(tmp_path / "line.jsonl")) == []


async def test_a_retry_key_sends_once(line: Line, tmp_path: Path) -> None:
    _, first, sent = await line.push(key=KEY)
    status, again, headers = await line.push(key=KEY.upper())
    assert status == 409
    assert again == {"message": "The retry key is already accepted", "sentMessages": first["sentMessages"]}
    assert headers["X-Line-Accepted-Request-Id"] == sent["X-Line-Request-Id"]
    assert headers["X-Line-Request-Id"] != sent["X-Line-Request-Id"]
    assert len(list(read_journal(tmp_path / "line.jsonl"))) == 1


async def test_a_retry_key_is_forgotten_after_a_day(line: Line) -> None:
    await line.push(key=KEY)
    await line.post("/_emulator/clock", {"advance_seconds": 24 * 3600 - 60})
    assert (await line.push(key=KEY))[0] == 409
    await line.post("/_emulator/clock", {"advance_seconds": 60})
    assert (await line.push(key=KEY))[0] == 200


async def test_a_key_with_another_body_is_counted(line: Line) -> None:
    await line.push("one", key=KEY)
    assert (await line.push("two", key=KEY))[0] == 409
    assert (await line.get("/_emulator/state"))[1]["reused_keys"] == 1
    assert (await line.push(key="not-a-uuid"))[0] == 400


@pytest.mark.parametrize("kind", ["error_after", "timeout_after", "reset_after"])
async def test_a_fault_after_acceptance_is_settled_by_the_key(line: Line, tmp_path: Path, kind: str) -> None:
    await line.post("/_emulator/faults", {"kind": kind, "seconds": 0.1})
    key = str(uuid.uuid4())
    if kind == "reset_after":
        with pytest.raises(aiohttp.ClientError):
            await line.push(key=key)
    else:
        assert (await line.push(key=key))[0] == 500
    assert len(list(read_journal(tmp_path / "line.jsonl"))) == 1
    assert (await line.push(key=key))[0] == 409
    assert len(list(read_journal(tmp_path / "line.jsonl"))) == 1


@pytest.mark.parametrize(("kind", "status"), [("error_before", 500), ("rate", 429), ("quota", 429)])
async def test_a_fault_before_acceptance_sends_nothing(
    line: Line, tmp_path: Path, kind: str, status: int
) -> None:
    await line.post("/_emulator/faults", {"kind": kind, "count": 2, "skip": 1})
    answers = [(await line.push(key=str(uuid.uuid4())))[0] for _ in range(4)]
    assert answers == [200, status, status, 200]
    assert len(list(read_journal(tmp_path / "line.jsonl"))) == 2


async def test_the_monthly_quota_counts_recipients(line: Line) -> None:
    account = {"channel_id": "1000000001", "token": "secret", "quota": 2}
    await line.post("/_emulator/accounts", account)
    assert await line.get("/v2/bot/message/quota") == (200, {"type": "limited", "value": 2})
    await line.push()
    await line.push()
    status, answer, _ = await line.push()
    assert (status, answer["message"]) == (429, "You have reached your monthly limit.")
    assert await line.get("/v2/bot/message/quota/consumption") == (200, {"totalUsage": 2})
    await line.post("/_emulator/clock", {"advance_seconds": 32 * 24 * 3600})
    assert await line.get("/v2/bot/message/quota/consumption") == (200, {"totalUsage": 0})
    assert (await line.push())[0] == 200


async def test_who_blocked_is_answered_and_not_counted(line: Line) -> None:
    await line.post("/_emulator/people", {"user_id": USER, "state": "blocked"})
    assert (await line.push())[0] == 200
    assert await line.get("/v2/bot/message/quota/consumption") == (200, {"totalUsage": 0})
    await line.post("/_emulator/people", {"user_id": USER, "state": "unknown"})
    status, answer, _ = await line.push()
    assert (status, answer["message"]) == (400, "Failed to send messages")
    assert (await line.get(f"/v2/bot/profile/{USER}"))[0] == 404
    assert (await line.post("/_emulator/people", {"user_id": USER, "state": "asleep"}))[0] == 400


async def test_multicast_bills_each_recipient(line: Line, tmp_path: Path) -> None:
    other = "U" + "a" * 32
    body = {"to": [USER, other], "messages": [{"type": "text", "text": "hi"}]}
    assert await line.post("/v2/bot/message/multicast", body) == (200, {})
    recipients = [record["recipient"] for record in read_journal(tmp_path / "line.jsonl")]
    assert recipients == [USER, other]
    assert await line.get("/v2/bot/message/quota/consumption") == (200, {"totalUsage": 2})


async def test_replies_take_no_retry_key_and_need_a_token(line: Line) -> None:
    body = {"replyToken": "t", "messages": [{"type": "text", "text": "hi"}]}
    headers = {"X-Line-Retry-Key": KEY}
    assert (await line.post("/v2/bot/message/reply", body, headers=headers))[0] == 400
    assert await line.post("/v2/bot/message/reply", body) == (400, {"message": "Invalid reply token"})


async def test_the_rate_is_limited(emulator_settings: EmulatorSettings, http: aiohttp.ClientSession) -> None:
    slow = emulator_settings.model_copy(update={"line_rate": 2.0})
    async with running(slow, ("line",)) as result:
        line = Line(http, result.urls["line"])
        statuses = [(await line.push())[0] for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_a_restart_remembers(emulator_settings: EmulatorSettings, http: aiohttp.ClientSession) -> None:
    async with running(emulator_settings, ("line",)) as result:
        line = Line(http, result.urls["line"])
        await line.post("/_emulator/accounts", {"channel_id": "7", "token": "secret7", "quota": 1})
        first = await line.push(key=KEY)
    async with running(emulator_settings, ("line",)) as result:
        line = Line(http, result.urls["line"])
        assert (await line.push(key=KEY))[0] == 409
        second = await line.push()
        assert first[1]["sentMessages"][0]["id"] < second[1]["sentMessages"][0]["id"]
        headers = {"Authorization": "Bearer secret7"}
        assert (await line.get("/v2/bot/message/quota", headers=headers))[1]["value"] == 1
        log = (await line.get("/_emulator/log"))[1]
        assert log["total"] == 2
        assert [r["retry_key"] for r in (await line.get("/_emulator/log?after=1"))[1]["records"]] == [None]
        await line.post("/_emulator/reset", {})
        assert (await line.get("/_emulator/log"))[1]["total"] == 0
        assert (await line.push(key=KEY))[0] == 200


async def test_unknown_faults_are_refused_with_the_field(line: Line) -> None:
    assert (await line.post("/_emulator/faults", {"kind": "rain"}))[0] == 400
    status, answer = await line.post("/_emulator/faults", {"kind": "rate", "often": 1})
    assert (status, answer["error"]) == (400, "unknown field often")
