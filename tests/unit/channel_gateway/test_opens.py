"""How many people opened messages, as LINE tells it: each answer, and several accounts together."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from yarl import URL

from services.channel_gateway.clients.channels.line import LineAdapter
from services.channel_gateway.clients.channels.transport import NoAnswerError, NotSentError, Reply
from services.channel_gateway.domain.model import Account, AccountState, Channel, Connection, ConnectionKind
from services.channel_gateway.domain.opens import Opens, OpensQuestion, OpensState, together
from services.channel_gateway.usecases.opens import OpensReader
from tests.unit.channel_gateway.build import JOURNEY, TEAM, account

KNOWN, FEW, REFUSED, AWAY = OpensState
QUESTION = OpensQuestion(JOURNEY, "hello", date(2026, 3, 1), date(2026, 3, 30))


class Line:
    """Answers by token."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[URL] = []

    async def request(
        self, _method: str, url: URL, headers: dict[str, str], _body: bytes | None = None
    ) -> Reply:
        self.asked.append(url)
        answer = self.answers[headers["Authorization"].removeprefix("Bearer ")]
        if isinstance(answer, Exception):
            raise answer
        status, people = answer
        return Reply(status, {"overview": {"uniqueImpression": people}} if status == 200 else {}, {})


class Accounts:
    """Of one team."""

    def __init__(self, *accounts: Account) -> None:
        self._accounts = list(accounts)

    async def list_accounts(self, _team: Any, channel: Channel, _after: Any, limit: int) -> list[Account]:
        return [each for each in self._accounts if each.channel is channel][:limit]


async def told(line: Line, *accounts: Account) -> Opens:
    """What a team with these accounts is told."""
    adapters: Any = {ConnectionKind.LINE: LineAdapter(line, "https://line.example")}  # type: ignore[arg-type]
    (found,) = await OpensReader(Accounts(*accounts), adapters).read(TEAM, [QUESTION])  # type: ignore[arg-type]
    return found


def of(token: str, **changes: Any) -> Account:
    """A LINE account with that token."""
    connection = Connection(ConnectionKind.LINE, access_token=token)
    return account(account_id=uuid4(), connection=connection, **changes)


@pytest.mark.rule("T-05c")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, 40), Opens(KNOWN, 40)),
        ((200, None), Opens(FEW)),
        ((400, None), Opens(REFUSED)),
        ((401, None), Opens(REFUSED)),
        ((403, None), Opens(REFUSED)),
        ((429, None), Opens(AWAY)),
        ((500, None), Opens(AWAY)),
        (NotSentError("refused"), Opens(AWAY)),
        (NoAnswerError("late"), Opens(AWAY)),
    ],
)
async def test_each_answer_is_known_too_few_refused_or_none(answer: Any, expected: Opens) -> None:
    line = Line(a=answer)
    assert await told(line, of("a")) == expected
    (url,) = line.asked
    assert (url.query["from"], url.query["to"], len(url.query["customAggregationUnit"])) == (
        "20260301",
        "20260330",
        22,
    )


@pytest.mark.rule("T-05c")
async def test_accounts_add_up_and_one_that_is_gone_takes_nothing_from_the_others() -> None:
    line = Line(a=(200, 40), b=(200, 25), c=(401, None))
    assert await told(line, of("a"), of("b"), of("c")) == Opens(KNOWN, 65)
    assert await told(Line(), of("d", state=AccountState.UNUSABLE)) == Opens(REFUSED), "nobody is asked"
    assert await told(Line()) == Opens(REFUSED), "there is no account any more"


@pytest.mark.rule("T-05c")
async def test_all_questions_are_asked_side_by_side_and_who_does_not_answer_in_time_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.channel_gateway.usecases.opens.READ_S", 0.05)
    count = len(accounts := [of("quick"), of("late")]) * 10
    together_now, full = 0, asyncio.Event()

    async def request(_method: str, _url: URL, headers: dict[str, str]) -> Reply:
        nonlocal together_now
        together_now += 1
        if together_now == count:
            full.set()
        await full.wait()  # nobody is answered before all have asked
        if headers["Authorization"].endswith("late"):
            await asyncio.Event().wait()
        return Reply(200, {"overview": {"uniqueImpression": 40}}, {})

    line = Line()
    line.request = request  # type: ignore[method-assign, assignment]
    adapters: Any = {ConnectionKind.LINE: LineAdapter(line, "https://line.example")}  # type: ignore[arg-type]
    found = await OpensReader(Accounts(*accounts), adapters).read(TEAM, [QUESTION] * 10)  # type: ignore[arg-type]
    assert found == [Opens(KNOWN, 40)] * 10


@pytest.mark.rule("T-05c")
async def test_of_a_team_with_more_accounts_than_are_asked_nothing_is_told() -> None:
    line = Line(a=(200, 40))
    assert await told(line, *(of("a") for _ in range(20))) == Opens(KNOWN, 800)
    line.asked.clear()
    assert await told(line, *(of("a") for _ in range(21))) == Opens(REFUSED)
    assert not line.asked


def test_what_may_lie_with_an_account_that_does_not_answer_is_not_too_few() -> None:
    assert together([Opens(FEW), Opens(REFUSED)]) == Opens(REFUSED)
    assert together([Opens(FEW), Opens(REFUSED), Opens(AWAY)]) == Opens(AWAY)
    assert together([Opens(FEW), Opens(FEW)]) == Opens(FEW)
