"""What Messenger and Instagram are sent, and at which address, with which proof; no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import yarl

from services.channel_gateway.clients.channels.base import WAIT_MAX_S, Verdict
from services.channel_gateway.clients.channels.graph import app_secret_proof
from services.channel_gateway.clients.channels.pages import PageAdapter, PageWriter
from services.channel_gateway.clients.channels.transport import Reply, Transport
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    ImageCard,
    TextCard,
)
from services.channel_gateway.domain.model import Channel, Connection, ConnectionKind, Reason
from services.channel_gateway.domain.prepare import ContentRefusedError
from tests.unit.channel_gateway.build import account, job, send

URL = Button("Shop", ButtonAction.URL, "https://example.com")
CLAIM = Button("Claim", ButtonAction.POSTBACK, "c=claim")
YES = Button("Yes", ButtonAction.MESSAGE, "yes")
PICTURE = "https://example.com/a.png"
BOTH = pytest.mark.parametrize("channel", [Channel.MESSENGER, Channel.INSTAGRAM])


def bodies(channel: Channel, *cards: FlatCard) -> list[dict[str, Any]]:
    """Request bodies."""
    parts = PageWriter(channel).write_cards(send(channel=channel), "501", cards)
    return [msgspec.json.decode(part) for part in parts]


def messages(channel: Channel, *cards: FlatCard) -> list[dict[str, Any]]:
    """What is said, without what finds the send again."""
    return [
        {name: value for name, value in body["message"].items() if name != "metadata"}
        for body in bodies(channel, *cards)
    ]


def test_messenger_gets_what_finds_the_send_again_and_instagram_what_it_knows() -> None:
    first, second = bodies(Channel.MESSENGER, TextCard("a"), TextCard("b"))
    assert (first["recipient"], first["messaging_type"]) == ({"id": "501"}, "UPDATE")
    key = send().effect_key.hex
    assert [body["message"]["metadata"].split(":")[1:] for body in (first, second)] == [
        [key, "0"],
        [key, "1"],
    ]
    assert bodies(Channel.INSTAGRAM, TextCard("a")) == [
        {"recipient": {"id": "501"}, "message": {"text": "a"}}
    ]


@BOTH
@pytest.mark.rule("C-05")
def test_a_caption_is_a_message_of_its_own(channel: Channel) -> None:
    image = {"attachment": {"type": "image", "payload": {"url": PICTURE}}}
    assert messages(channel, ImageCard(PICTURE)) == [image]
    assert messages(channel, ImageCard(PICTURE, caption="b")) == [image, {"text": "b"}]


@BOTH
def test_answers_go_below_the_text_and_other_buttons_on_it(channel: Channel) -> None:
    (answers,) = messages(channel, ButtonCard("Which?", (YES, Button("No", ButtonAction.MESSAGE, "no"))))
    assert answers["text"] == "Which?"
    assert [(each["title"], each["payload"]) for each in answers["quick_replies"]] == [
        ("Yes", "yes"),
        ("No", "no"),
    ]
    (mixed,) = messages(channel, ButtonCard("Which?", (URL, CLAIM, YES), title="Hi"))
    payload = mixed["attachment"]["payload"]
    assert (payload["template_type"], payload["text"]) == ("button", "Hi\nWhich?")
    assert [each.get("url") or each["payload"] for each in payload["buttons"]] == [
        URL.value,
        "c=claim",
        "yes",
    ]


@BOTH
def test_a_picture_stands_on_the_card_where_the_text_is_short_and_above_it_where_it_is_not(
    channel: Channel,
) -> None:
    (card,) = messages(channel, ButtonCard("text", (URL,), title="title", image_url=PICTURE))
    (element,) = card["attachment"]["payload"]["elements"]
    assert (element["title"], element["subtitle"], element["image_url"]) == ("title", "text", PICTURE)
    (bare,) = messages(channel, ButtonCard("text", (URL,), image_url=PICTURE))
    assert "subtitle" not in bare["attachment"]["payload"]["elements"][0]
    picture, text = messages(channel, ButtonCard("x" * 81, (URL,), title="title", image_url=PICTURE))
    assert picture["attachment"]["type"] == "image"
    assert text["attachment"]["payload"]["text"] == "title\n" + "x" * 81


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize(
    ("channel", "card"),
    [
        (Channel.MESSENGER, TextCard("x" * 2_001)),
        (Channel.INSTAGRAM, TextCard("x" * 1_001)),
        (Channel.INSTAGRAM, TextCard("\u7f8e" * 334)),
        (Channel.INSTAGRAM, ImageCard(PICTURE, caption="\u7f8e" * 334)),
        (Channel.MESSENGER, TextCard(" ")),
        (Channel.MESSENGER, ButtonCard("x" * 641, (URL,))),
        (Channel.INSTAGRAM, ButtonCard("x" * 601, (URL,), title="y" * 40)),
        (Channel.MESSENGER, ButtonCard("a", (URL, CLAIM, YES, CLAIM))),
    ],
)
def test_what_does_not_fit_is_refused(channel: Channel, card: FlatCard) -> None:
    with pytest.raises(ContentRefusedError) as refused:
        bodies(channel, card)
    assert refused.value.reason is Reason.CONTENT_INVALID


def test_a_text_of_a_thousand_bytes_and_answers_below_a_long_text_fit() -> None:
    assert bodies(Channel.INSTAGRAM, TextCard("\u7f8e" * 333))
    assert bodies(Channel.MESSENGER, TextCard("\U0001f600" * 2_000), ButtonCard("x" * 2_000, (YES,)))


# ---- answers


class Answering(Transport):
    """Answers by the proof that it is shown."""

    def __init__(self, *answers: Reply, good: str = "") -> None:
        super().__init__()
        self.asked: list[yarl.URL] = []
        self._answers = list(answers)
        self._good = good

    async def request(
        self, method: str, url: yarl.URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        self.asked.append(url)
        if self._good and url.query.get("appsecret_proof") != self._good:
            return refusal(100, message="Invalid appsecret_proof provided in the API argument")
        return self._answers.pop(0)


def refusal(code: int, subcode: int | None = None, message: str = "no", **headers: str) -> Reply:
    """An answer of Meta."""
    error = {"code": code, "message": message} | ({"error_subcode": subcode} if subcode else {})
    return Reply(400, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


SENT = Reply(200, {"recipient_id": "501", "message_id": "m_1"}, {})
PAGES, LOGIN = "http://127.0.0.1:1", "http://127.0.0.1:2/v26.0"


def instagram(*secrets: str, page_id: str = "") -> Any:
    """An account."""
    connection = Connection(
        ConnectionKind.INSTAGRAM, "17", page_id, access_token="secret-token", secrets=secrets
    )
    return account(Channel.INSTAGRAM, connection=connection)


async def test_instagram_is_reached_by_its_own_login_or_through_its_page() -> None:
    transport = Answering(SENT, SENT)
    adapter = PageAdapter(transport, Channel.INSTAGRAM, PAGES, LOGIN)
    own = await adapter.send(instagram("s"), job(), 0)
    assert (own.verdict, own.message_id) == (Verdict.SENT, "m_1")
    await adapter.send(instagram("s", page_id="77"), job(), 0)
    proof = app_secret_proof("secret-token", "s")
    assert [str(url) for url in transport.asked] == [
        f"{LOGIN}/17/messages",
        f"{PAGES}/v25.0/77/messages?appsecret_proof={proof}",
    ]


async def test_while_an_app_changes_its_secret_either_proves_a_call() -> None:
    transport = Answering(SENT, SENT, good=app_secret_proof("secret-token", "old"))
    adapter = PageAdapter(transport, Channel.INSTAGRAM, PAGES, LOGIN)
    owner = instagram("new", "old", page_id="77")
    assert [(await adapter.send(owner, job(), 0)).verdict for _ in range(2)] == [Verdict.SENT] * 2
    assert len(transport.asked) == 3, "the one that is taken is remembered"
    refused = await adapter.send(instagram("another", page_id="77"), job(), 0)
    assert (refused.verdict, refused.reason, refused.account_unusable) == (
        Verdict.FAILED,
        Reason.ACCOUNT_UNUSABLE,
        True,
    )


async def test_a_subcode_goes_before_its_code() -> None:
    answers = [refusal(200, 1545041), refusal(200), refusal(100, 2534037), refusal(100, 7), refusal(424242)]
    adapter = PageAdapter(Answering(*answers), Channel.INSTAGRAM, PAGES, LOGIN)
    attempts = [await adapter.send(instagram(), job(), 0) for _ in answers]
    assert [(attempt.verdict, attempt.reason) for attempt in attempts] == [
        (Verdict.SKIPPED, "BLOCKED"),
        (Verdict.FAILED, "ACCOUNT_UNUSABLE"),
        (Verdict.SKIPPED, "THREAD_OWNED_BY_ANOTHER_APP"),
        (Verdict.FAILED, "INSTAGRAM_100_7"),
        (Verdict.FAILED, "INSTAGRAM_424242"),
    ]


@pytest.mark.parametrize(("minutes", "wait_s"), [("2", 120.0), ("9" * 400, WAIT_MAX_S)])
async def test_usage_minutes_hold_the_account_for_an_hour_at_most(minutes: str, wait_s: float) -> None:
    usage = f'{{"1":[{{"estimated_time_to_regain_access":{minutes}}}]}}'
    answer = refusal(613, X_Business_Use_Case_Usage=usage)
    attempt = await PageAdapter(Answering(answer), Channel.MESSENGER, PAGES).send(instagram(), job(), 0)
    assert (attempt.verdict, attempt.wait_s, attempt.backoff.holds_account) == (Verdict.RETRY, wait_s, True)


async def test_a_token_that_is_repeated_is_not_shown() -> None:
    answer = refusal(190, message="Malformed access token secret-token")
    adapter = PageAdapter(Answering(answer, answer), Channel.INSTAGRAM, PAGES, LOGIN)
    attempt = await adapter.send(instagram(), job(), 0)
    assert (attempt.account_unusable, attempt.detail) == (True, "Malformed access token [hidden]")
    assert await adapter.check(instagram()) == (False, "Malformed access token [hidden]")
