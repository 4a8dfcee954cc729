"""What came with a customer's mail: when it may be used, and what a turn does with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.inbox import usable_view
from tests.unit.journey.builders import ACCOUNT, NOW, checkout, journey, mail, message, run

LONG_AGO = NOW - timedelta(seconds=10)
MEI = m.KnownIdentity(d.Channel.LINE, ACCOUNT, "U1", blocked=False)
VIEW = m.CustomerView(2, NOW, "Mei", None, "+886912345678", None, [MEI], whole=True)
VIEWED = replace(checkout(2), view=VIEW)
CONDITION = d.Node("ask", d.Condition(b"audience", None, None))
TAG = d.Node("tag", d.Tags(add=("seen",)), "ask")


def usable(*mails: m.Mail, taken: dict[int, int] | None = None, **given: Any) -> m.CustomerView | None:
    return usable_view(taken or {}, mails, **{"mail_left": False, "since": LONG_AGO, **given})


@pytest.mark.rule("J-32")
def test_the_view_of_the_newest_mail_is_used() -> None:
    assert usable(VIEWED) == VIEW
    outcome = m.SendOutcome(UUID(int=1), UUID(int=1), 1, "", NOW, 1)
    assert usable(VIEWED, mail(7, outcome, source=m.MailSource.GATEWAY)) == VIEW, "another source's numbers"


@pytest.mark.rule("J-32")
@pytest.mark.parametrize(
    "view",
    [
        usable(),
        usable(checkout(2)),
        usable(VIEWED, mail(3, m.ProfileChanged())),
        usable(VIEWED, mail(3, m.TagApplied("vip"))),
        usable(VIEWED, mail_left=True),
        usable(VIEWED, since=None),
        usable(VIEWED, since=NOW + timedelta(microseconds=1)),
        usable(replace(checkout(3), view=VIEW)),
    ],
    ids=[
        "no mail",
        "none came",
        "the profile changed later",
        "a tag was applied later",
        "more mail waits",
        "the clock is held",
        "it is too old",
        "it is of an earlier mail",
    ],
)
def test_a_view_that_may_be_out_of_date_is_not_used(view: m.CustomerView | None) -> None:
    assert view is None


@pytest.mark.rule("J-32")
@pytest.mark.parametrize("source", m.MailSource)
def test_who_had_mail_before_is_not_known_whole(source: m.MailSource) -> None:
    """What the actor did then may have come to segment after the view."""
    assert usable(VIEWED, taken={source: 1}) == replace(VIEW, whole=False)
    assert usable(VIEWED, taken={source: 0}) == VIEW


def asked_of(*nodes: d.Node, view: m.CustomerView | None) -> list[fx.Effect]:
    asked: list[fx.Effect] = []
    run([journey(*nodes)], [checkout(2)], asked=asked, view=view)
    return [effect for effect in asked if not isinstance(effect, fx.EarnPoints)]


def sent_to(view: m.CustomerView | None) -> fx.Recipient | None:
    [send] = asked_of(message("hello"), view=view)
    assert isinstance(send, fx.Send)
    return send.recipient


def test_a_send_says_whom_it_goes_to() -> None:
    assert sent_to(VIEW) == fx.Recipient("U1", "Mei")
    assert sent_to(None) is None


def test_of_several_identities_on_an_account_an_open_one_is_used() -> None:
    several = [replace(MEI, external_id="U0", blocked=True), replace(MEI, external_id="U2")]
    assert sent_to(replace(VIEW, identities=several)) == fx.Recipient("U2", "Mei")


@pytest.mark.rule("J-30c")
@pytest.mark.parametrize(
    "identity",
    [
        replace(MEI, blocked=True),
        replace(MEI, account_id=UUID(int=99)),
        replace(MEI, channel=d.Channel.WHATSAPP),
    ],
    ids=["blocked", "another account", "another channel"],
)
def test_whom_a_view_does_not_show_to_be_reachable_the_gateway_asks_about(identity: m.KnownIdentity) -> None:
    assert sent_to(replace(VIEW, identities=[identity])) is None


@pytest.mark.rule("J-35d")
@pytest.mark.parametrize(("phone", "has_phone"), [("+886912345678", True), (None, False)])
def test_points_nodes_know_whether_there_is_a_phone(phone: str | None, has_phone: bool) -> None:
    [points] = asked_of(d.Node("gift", d.Points(5)), view=replace(VIEW, phone=phone))
    assert isinstance(points, fx.ChangePoints)
    assert points.has_phone is has_phone


@pytest.mark.rule("J-32")
@pytest.mark.parametrize(
    "before", [TAG, d.Node("set", d.Attribute("tier", "gold"), "ask")], ids=["tag", "set"]
)
def test_after_a_node_that_changed_the_customer_they_are_not_known_whole(before: d.Node) -> None:
    [alone] = asked_of(CONDITION, view=VIEW)
    assert isinstance(alone, fx.EvaluateAudience)
    assert alone.view == VIEW
    *_, after = asked_of(before, CONDITION, view=VIEW)
    assert isinstance(after, fx.EvaluateAudience)
    assert after.view == replace(VIEW, whole=False)
